import type { EventLog, RecordedEvent } from '../eventlog/eventLog.ts'
import { lastEvent, streamEvents } from '../eventlog/readStream.ts'
import { decode } from '../operation/envelope.ts'
import { anyPipeline, compilePipeline } from '../operation/pipeline.ts'
import { pipelineStream } from '../operation/streamName.ts'
import { type ChainEnd, chainedOn, previousHashOf } from '../operation/verifyStream.ts'
import { type PipelineRecord, UnreadableStreamError } from './commandService.ts'
import { unreadable } from './unreadable.ts'

/** The pipelines this log defines. Versions never change, so they are kept; which is the newest is asked of the log each time. */
export interface PipelineCatalog {
  /**
   * The newest version as of some time after the call, or null. Reads the tail of the pipeline's stream; calls that come
   * while a read of the same pipeline is under way share the next one. Throws LogUnavailableError, UnreadableStreamError.
   */
  newest(name: string): Promise<PipelineRecord | null>
  /** One version, or null. Asks the log only for a version not in memory. Throws as `newest`. */
  version(name: string, version: number): Promise<PipelineRecord | null>
  /** The version a stored event of a pipeline's stream defines. Throws UnreadableStreamError. */
  record(stored: RecordedEvent): PipelineRecord
}

export interface PipelineCatalogOptions {
  readonly log: EventLog
  /** Versions kept in memory, the least recently used ones go first. */
  readonly pipelinesMax: number
}

/** Definitions can be large. */
const pageSize = 50

const builtIn: PipelineRecord = { pipeline: anyPipeline, definedAt: null, revision: null, position: 0n }

interface TailReads {
  readonly current: Promise<PipelineRecord | null>
  next: Promise<PipelineRecord | null> | null
}

export function createPipelineCatalog({ log, pipelinesMax }: PipelineCatalogOptions): PipelineCatalog {
  const known = new Map<string, PipelineRecord>()
  const tails = new Map<string, TailReads>()

  const remembered = (name: string, version: number): PipelineRecord | undefined => {
    const id = `${name} ${version}`
    const found = known.get(id)
    if (found === undefined) return undefined
    known.delete(id)
    known.set(id, found)
    return found
  }

  const remember = (found: PipelineRecord): void => {
    known.set(`${found.pipeline.name} ${found.pipeline.version}`, found)
    if (known.size <= pipelinesMax) return
    const oldest = known.keys().next()
    if (oldest.done !== true) known.delete(oldest.value)
  }

  const record = (stored: RecordedEvent): PipelineRecord => {
    const name = stored.stream.slice(pipelineStream('').length)
    // Each event of the stream defines the next version, from 1: the revision alone tells which.
    const version = Number(stored.revision) + 1
    const found = remembered(name, version)
    if (found !== undefined) return found
    const made = parse(stored, name, version)
    remember(made)
    return made
  }

  async function readTail(name: string): Promise<PipelineRecord | null> {
    const last = await lastEvent(log, pipelineStream(name))
    if (last === null) return null
    if (last.revision > 0n) return verified(name, last)
    // The only one, as of most pipelines.
    if (remembered(name, 1) === undefined) chainedOnReadable(last, null)
    return record(last)
  }

  /** What many operations are decided by is held against its stream's hash chain, once. */
  async function verified(name: string, stored: RecordedEvent): Promise<PipelineRecord> {
    const found = remembered(name, Number(stored.revision) + 1)
    if (found !== undefined) return found
    await expectChain(stored)
    return record(stored)
  }

  async function expectChain({ stream, revision }: RecordedEvent): Promise<void> {
    let end: ChainEnd | null = null
    for await (const event of streamEvents(log, stream, { pageSize })) {
      // The next one only tells whether this one's hash was made anew.
      if (event.revision > revision) return expectNamed(event, end)
      end = chainedOnReadable(event, end)
    }
  }

  function startTail(name: string): Promise<PipelineRecord | null> {
    const reads: TailReads = { current: readTail(name), next: null }
    tails.set(name, reads)
    const done = (): void => {
      // The next read, if anyone asked for it, has put itself into this place.
      if (tails.get(name) === reads) tails.delete(name)
    }
    reads.current.then(done, done)
    return reads.current
  }

  return {
    newest(name) {
      if (name === anyPipeline.name) return Promise.resolve(builtIn)
      const reads = tails.get(name)
      if (reads === undefined) return startTail(name)
      const start = (): Promise<PipelineRecord | null> => startTail(name)
      reads.next ??= reads.current.then(start, start)
      return reads.next
    },

    async version(name, version) {
      if (name === anyPipeline.name) return version === anyPipeline.version ? builtIn : null
      if (!Number.isSafeInteger(version) || version < 1) return null
      const found = remembered(name, version)
      if (found !== undefined) return found
      const [stored] = await log.readStream(pipelineStream(name), { fromRevision: BigInt(version - 1), maxCount: 1 })
      return stored === undefined ? null : verified(name, stored)
    },

    record,
  }
}

function chainedOnReadable(event: RecordedEvent, end: ChainEnd | null): ChainEnd {
  return unreadable(() => chainedOn(event, end))
}

function expectNamed(event: RecordedEvent, end: ChainEnd | null): void {
  if (previousHashOf(event.metadata) === (end?.hash ?? null)) return
  chainedOnReadable(event, end)
}

function parse(stored: RecordedEvent, name: string, version: number): PipelineRecord {
  const event = unreadable(() => decode(stored))
  if (event.type !== 'PipelineDefined' || event.data.version !== version) {
    throw new UnreadableStreamError(`${stored.stream}@${stored.revision} does not define version ${version}`)
  }
  const { definition } = event.data
  return {
    pipeline: unreadable(() => compilePipeline(name, version, definition)),
    definedAt: event.metadata.recordedAt,
    revision: stored.revision,
    position: stored.position,
  }
}
