import type { EventLog, RecordedEvent } from '../eventlog/eventLog.ts'
import { streamEvents, streamPages } from '../eventlog/readStream.ts'
import { eventId } from '../operation/eventId.ts'
import { chainEnd, type DecodedOperationEvent, decodeOperationEvent, foldNext } from '../operation/fold.ts'
import type { CompiledPipeline } from '../operation/pipeline.ts'
import type { OperationState } from '../operation/state.ts'
import { operationStream } from '../operation/streamName.ts'
import { chainedOn } from '../operation/verifyStream.ts'
import { UnreadableStreamError } from './commandService.ts'
import type { PipelineCatalog } from './pipelineCatalog.ts'
import {
  closeReceipt,
  emptyReceipts,
  foldReceipt,
  type OpenReceipt,
  type Receipt,
  type Receipts,
  rememberReceipt,
} from './receipts.ts'
import type { Snapshots } from './snapshots.ts'
import type { Confirmed } from './snapshotText.ts'
import { decodeAlone, unreadable } from './unreadable.ts'

/** An operation as far as it was folded. */
export interface FoldedOperation {
  readonly state: OperationState | null
  /** Of its last event; 0n when there is none. */
  readonly position: bigint
  readonly receipts: Receipts
  /** Of the snapshot it was folded on from; undefined: of none. */
  readonly snapshotRevision?: bigint
}

export interface OperationLoader {
  /**
   * Reads on from `base` (null: from the beginning) to the stream's end as it is at some time after the call. The
   * receipts of `base` are added to. Throws LogUnavailableError, UnreadableStreamError.
   */
  load(operation: string, base: FoldedOperation | null): Promise<FoldedOperation>

  /** The receipt of the command that appended under `key`, from the log itself; null when none did. Throws as `load`. */
  receipt(operation: string, key: string): Promise<Receipt | null>
}

export interface OperationLoaderOptions {
  readonly log: EventLog
  readonly catalog: PipelineCatalog
  readonly receiptsMax: number
  readonly snapshots: Snapshots
  /** Streams of fewer events have no snapshot. */
  readonly snapshotEvery: number
}

const pageSize = 1_000
/** Nearly all operations are shorter; of the others it is read in vain when there is a snapshot. */
const firstPageSizeMax = 100
/** Most appends are one event or two. */
const appendPageSize = 8

export function createOperationLoader(options: OperationLoaderOptions): OperationLoader {
  const { log, catalog, receiptsMax, snapshots, snapshotEvery } = options
  /** A stream that it does not hold whole may be long enough to have a snapshot. */
  const firstPageSize = Math.min(snapshotEvery, firstPageSizeMax)

  async function load(operation: string, base: FoldedOperation | null): Promise<FoldedOperation> {
    if (base !== null && base.state !== null) return foldOn(operation, base, base.state.revision + 1n)
    const stream = operationStream(operation)
    const first = await log.readStream(stream, { maxCount: firstPageSize })
    const isLong = first.length === firstPageSize
    const snapshot = isLong ? await snapshots.find(operation) : null
    if (snapshot !== null) {
      try {
        return await foldOnSnapshot(operation, snapshot)
      } catch (error) {
        if (!(error instanceof UnreadableStreamError)) throw error
        snapshots.distrust(operation, error)
      }
    }
    const fold = beginFold(null)
    await fold.add(first)
    if (isLong) await addFrom(fold, stream, BigInt(first.length))
    return fold.end()
  }

  async function foldOn(operation: string, base: FoldedOperation, from: bigint): Promise<FoldedOperation> {
    const fold = beginFold(base)
    await addFrom(fold, operationStream(operation), from)
    return fold.end()
  }

  /** Throws UnreadableStreamError when the stream does not hold, at the snapshot's end, the event that it ends in. */
  async function foldOnSnapshot(operation: string, snapshot: Confirmed): Promise<FoldedOperation> {
    const { state, position } = snapshot
    const stream = operationStream(operation)
    const page = await log.readStream(stream, { fromRevision: state.revision, maxCount: pageSize })
    const [last, ...later] = page
    if (last === undefined || last.position !== position || decodeAlone(last).meta.hash !== state.lastHash) {
      throw new UnreadableStreamError(`${stream}@${state.revision} is not the event that the snapshot ends in`)
    }
    const fold = beginFold(snapshot)
    await fold.add(later)
    if (page.length === pageSize) await addFrom(fold, stream, state.revision + BigInt(page.length))
    return { ...fold.end(), snapshotRevision: state.revision }
  }

  async function addFrom(fold: ReturnType<typeof beginFold>, stream: string, fromRevision: bigint): Promise<void> {
    for await (const page of streamPages(log, stream, { fromRevision, pageSize })) await fold.add(page)
  }

  function beginFold(base: FoldedOperation | null) {
    let state = base?.state ?? null
    let position = base?.position ?? 0n
    const receipts = base?.receipts ?? emptyReceipts()
    let open: OpenReceipt | null = null
    const close = (): void => {
      if (open !== null) rememberReceipt(receipts, open.key, closeReceipt(open), receiptsMax)
    }
    return {
      async add(page: readonly RecordedEvent[]): Promise<void> {
        for (const recorded of page) {
          const before = state
          unreadable(() => chainedOn(recorded, chainEnd(before)))
          const event = unreadable(() => decodeOperationEvent(recorded))
          // Only the first event may have to wait, for its pipeline.
          const pipeline = before === null ? await pipelineOf(event) : before.pipeline
          state = unreadable(() => foldNext(before, event, () => pipeline ?? noPipeline()))
          position = recorded.position
          if (open !== null && open.key !== event.metadata.$causationId) close()
          open = foldReceipt(open, event, event.metadata, recorded)
        }
      },
      end(): FoldedOperation {
        close()
        return { state, position, receipts }
      },
    }
  }

  /** Null for an event that opens nothing: no state can be folded from it. */
  async function pipelineOf(event: DecodedOperationEvent): Promise<CompiledPipeline | null> {
    if (event.type !== 'OperationOpened') return null
    const { name, version } = event.data.pipeline
    const record = await catalog.version(name, version)
    if (record === null) throw new UnreadableStreamError(`pipeline ${name} has no version ${version}`)
    return record.pipeline
  }

  async function receipt(operation: string, key: string): Promise<Receipt | null> {
    const stream = operationStream(operation)
    const first = await log.readEvent(stream, eventId(stream, key, 0))
    if (first === null) return null
    let open: OpenReceipt | null = null
    const own = { fromRevision: first.revision, pageSize: appendPageSize }
    for await (const recorded of streamEvents(log, stream, own)) {
      const event = decodeAlone(recorded)
      if (event.metadata.$causationId !== key) break
      open = foldReceipt(open, event, event.metadata, recorded)
    }
    return open === null ? null : closeReceipt(open)
  }

  return { load, receipt }
}

/**
 * Reads on from what is known. That is a true prefix of the stream, unless the log is not what it was: then the stream
 * is read from its beginning, and what was known is `refuted`. Throws as `load`.
 */
export async function loadOn(
  loader: OperationLoader,
  operation: string,
  known: FoldedOperation | null,
): Promise<{ readonly folded: FoldedOperation; readonly refuted: boolean }> {
  if (known === null || known.state === null) return { folded: await loader.load(operation, null), refuted: false }
  try {
    return { folded: await loader.load(operation, known), refuted: false }
  } catch (error) {
    if (!(error instanceof UnreadableStreamError)) throw error
    return { folded: await loader.load(operation, null), refuted: true }
  }
}

function noPipeline(): never {
  throw new UnreadableStreamError('no pipeline')
}
