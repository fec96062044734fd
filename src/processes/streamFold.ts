import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import type { EventLog, RecordedEvent } from '../eventlog/eventLog.ts'
import { streamPages } from '../eventlog/readStream.ts'
import { decode } from '../operation/envelope.ts'
import { NewerSchemaError } from '../operation/eventSchemas.ts'
import { decodeOperationEvent, foldNext, foldSkipped } from '../operation/fold.ts'
import { anyPipeline, type CompiledPipeline, compilePipeline, type PipelineOf } from '../operation/pipeline.ts'
import type { OperationState } from '../operation/state.ts'
import { pipelineStream } from '../operation/streamName.ts'
import { refuseNewer, TamperedError, type VerifiedEnd, verifyStream } from '../operation/verifyStream.ts'

export type StreamFold =
  | {
      readonly kind: 'folded'
      /** The state at the revision asked for, and the position of its event; null when that was -1n. */
      readonly last: Last | null
      /** The event after it; null when there is none. */
      readonly next: Place | null
    }
  /** The stream ends at `revision`, before the one asked for; -1n: there is no stream. */
  | { readonly kind: 'short'; readonly revision: bigint }
  | FoldFailure

type FoldFailure =
  /** The hash chain does not hold at an event of the stream, or of that of its pipeline. */
  | { readonly kind: 'broken'; readonly tampered: TamperedError }
  /** The event at `revision` cannot be folded. The reason holds nothing of the documents. */
  | { readonly kind: 'unfoldable'; readonly revision: bigint; readonly reason: string }

interface Place {
  readonly revision: bigint
  readonly position: bigint
}

interface Last {
  readonly state: OperationState
  readonly position: bigint
}

export interface FoldStreamOptions {
  /** Events that are folded as if they said nothing. Default: none. */
  readonly passedOver?: (revision: bigint) => boolean
  /** Up to where later events are held against the chain. Default: the event after the last one that is folded. */
  readonly verifiedTo?: bigint
}

type Log = Pick<EventLog, 'readStream'>

/** In memory as a whole, and events have up to 768 KiB. */
const pageSize = 50
/** UTF-16 units folded before others get the event loop: a few milliseconds. */
const sliceUnits = 256 * 1024

/**
 * Folds an operation's stream from its beginning up to `revision` (-1n: nothing of it), each event held against the hash
 * chain first. What comes after `revision` is only held against the chain. Slice by slice, and the event loop goes on in between:
 * memory grows with the stream by its keys alone. Throws NewerSchemaError, what the log throws, and the reason of `signal`.
 */
export async function foldStream(
  log: Log,
  stream: string,
  revision: bigint,
  signal: AbortSignal,
  { passedOver = () => false, verifiedTo = revision + 1n }: FoldStreamOptions = {},
): Promise<StreamFold> {
  const fold = new Fold(log, revision, passedOver)
  try {
    for await (const events of verified(log, stream, verifiedTo > revision ? verifiedTo : revision + 1n)) {
      signal.throwIfAborted()
      const failure = await fold.take(events)
      if (failure !== null) return failure
      await yieldToEventLoop()
    }
  } catch (error) {
    if (error instanceof TamperedError) return { kind: 'broken', tampered: error }
    throw error
  }
  if (fold.revision < revision) return { kind: 'short', revision: fold.revision }
  return { kind: 'folded', last: fold.last, next: fold.next }
}

/** A stream's events up to a revision, in pieces, each held against the hash chain. Throws TamperedError, NewerSchemaError. */
async function* verified(log: Log, stream: string, to: bigint): AsyncGenerator<readonly RecordedEvent[]> {
  let end: VerifiedEnd | null = null
  let position = 0n
  for await (const page of streamPages(log, stream, { toRevision: to, pageSize })) {
    for (const events of slicesOf(page)) {
      end = endAfter(events, end)
      for (const event of events) {
        // No hash covers where an event is in the log; that a stream's events are there in order is known all the same.
        if (event.position <= position) throw new TamperedError(event, 'it comes before its predecessor in the log')
        position = event.position
      }
      yield events
    }
  }
}

function endAfter(events: readonly RecordedEvent[], end: VerifiedEnd | null): VerifiedEnd | null {
  const verification = verifyStream(events, end)
  if (verification.kind === 'intact') return verification.end
  const broken = events.find(({ revision }) => revision === verification.revision)
  if (broken === undefined) throw new Error('a verification that names no event')
  refuseNewer(broken)
  throw new TamperedError(broken, verification.reason)
}

class UnfoldableError extends Error {}

class Fold {
  readonly #log: Log
  /** What comes after it is not folded. */
  readonly #to: bigint
  readonly #passedOver: (revision: bigint) => boolean
  #pipelineOf: PipelineOf = () => {
    throw new UnfoldableError('no pipeline')
  }
  revision = -1n
  last: Last | null = null
  /** The first event that is not folded. */
  next: Place | null = null

  constructor(log: Log, to: bigint, passedOver: (revision: bigint) => boolean) {
    this.#log = log
    this.#to = to
    this.#passedOver = passedOver
  }

  async take(events: readonly RecordedEvent[]): Promise<FoldFailure | null> {
    for (const event of events) {
      const { revision } = event
      if (revision > this.#to) {
        this.next ??= event
        return null
      }
      try {
        if (this.#passedOver(revision)) this.#passOver(event)
        else await this.#fold(event)
      } catch (error) {
        if (!(error instanceof UnfoldableError)) throw error
        return { kind: 'unfoldable', revision, reason: error.message }
      }
      this.revision = revision
    }
    return null
  }

  #passOver(event: RecordedEvent): void {
    if (this.last === null) return
    this.last = { state: foldSkipped(this.last.state, event), position: event.position }
  }

  async #fold(event: RecordedEvent): Promise<void> {
    const decoded = foldable(() => decodeOperationEvent(event))
    if (decoded.type === 'OperationOpened') {
      const pipeline = await this.#pipeline(decoded.data.pipeline.name, decoded.data.pipeline.version)
      this.#pipelineOf = () => pipeline
    }
    const state = foldable(() => foldNext(this.last?.state ?? null, decoded, this.#pipelineOf))
    this.last = { state, position: event.position }
  }

  /** From the log, not from the read model: that is what is being audited. */
  async #pipeline(name: string, version: number): Promise<CompiledPipeline> {
    if (name === anyPipeline.name) return anyPipeline
    // Each event of a pipeline's stream defines the next version, from 1. The one after it tells whether its hash is its own.
    const revision = BigInt(version) - 1n
    let stored: RecordedEvent | undefined
    for await (const events of verified(this.#log, pipelineStream(name), revision + 1n)) {
      stored ??= events.find((event) => event.revision === revision)
    }
    return foldable(() => {
      const defined = stored === undefined ? null : decode(stored)
      if (defined?.type !== 'PipelineDefined' || defined.data.version !== version) {
        throw new UnfoldableError(`pipeline ${name} has no version ${version}`)
      }
      return compilePipeline(name, version, defined.data.definition)
    })
  }
}

function foldable<T>(step: () => T): T {
  try {
    return step()
  } catch (error) {
    if (error instanceof NewerSchemaError) throw error
    throw new UnfoldableError(error instanceof Error ? error.message : String(error))
  }
}

/** In pieces of so many units. */
function* slicesOf(events: readonly RecordedEvent[]): Generator<readonly RecordedEvent[]> {
  let slice: RecordedEvent[] = []
  let units = 0
  for (const event of events) {
    if (slice.length > 0 && units >= sliceUnits) {
      yield slice
      slice = []
      units = 0
    }
    slice.push(event)
    units += event.data.length + event.metadata.length
  }
  if (slice.length > 0) yield slice
}
