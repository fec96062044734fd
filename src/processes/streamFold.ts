import type { EventLog, RecordedEvent } from '../eventlog/eventLog.ts'
import { decode, noHash, withoutHash } from '../operation/envelope.ts'
import { isOperationEvent, NewerSchemaError } from '../operation/eventSchemas.ts'
import { evolve } from '../operation/evolve.ts'
import { anyPipeline, type CompiledPipeline, compilePipeline, type PipelineOf } from '../operation/pipeline.ts'
import type { OperationState } from '../operation/state.ts'
import { pipelineStream } from '../operation/streamName.ts'
import { type Link, verifyStream } from '../operation/verifyStream.ts'

export type StreamFold =
  | {
      readonly kind: 'folded'
      /** The state at the revision asked for, and the position of its event; null when that was -1n. */
      readonly last: Last | null
      /** The event after it; null when there is none. */
      readonly next: { readonly revision: bigint; readonly position: bigint } | null
    }
  /** The stream ends at `revision`, before the one asked for; -1n: there is no stream. */
  | { readonly kind: 'short'; readonly revision: bigint }
  | FoldFailure

/** The event at `revision` is not what its hash says, or cannot be folded. The reason holds nothing of the documents. */
interface FoldFailure {
  readonly kind: 'broken' | 'unfoldable'
  readonly revision: bigint
  readonly reason: string
}

interface Last {
  readonly state: OperationState
  readonly position: bigint
}

type Log = Pick<EventLog, 'readStream'>
type PassedOver = (revision: bigint) => boolean

/** In memory as a whole, and events have up to 768 KiB. */
const pageCount = 50
/** UTF-16 units folded before others get a turn of the event loop: a few milliseconds. */
const turnUnits = 256 * 1024

/**
 * Folds an operation's stream from its beginning up to `revision` (-1n: nothing of it), each event held against the hash
 * chain first. Page by page, with turns for others in between: memory grows with the stream by its keys alone. Events that
 * are `passedOver` are folded as if they said nothing, and may be what no node writes. Throws NewerSchemaError, what the
 * log throws, and the reason of `signal`.
 */
export async function foldStream(
  log: Log,
  stream: string,
  revision: bigint,
  signal: AbortSignal,
  passedOver: PassedOver = () => false,
): Promise<StreamFold> {
  const fold = new Fold(log, passedOver)
  for (;;) {
    const from = fold.revision + 1n
    // Up to the event after the last one: whether there is one, and where, is asked for too.
    const wanted = revision + 2n - from
    const maxCount = wanted < pageCount ? Number(wanted) : pageCount
    const page = await log.readStream(stream, { fromRevision: from, maxCount })
    for (const events of turns(
      page.filter((event) => event.revision <= revision),
      passedOver,
    )) {
      signal.throwIfAborted()
      const failure = await fold.take(events)
      if (failure !== null) return failure
      await new Promise((resolve) => setImmediate(resolve))
    }
    const next = page.find((event) => event.revision > revision) ?? null
    if (next === null && page.length === maxCount) continue
    if (fold.revision < revision) return { kind: 'short', revision: fold.revision }
    return { kind: 'folded', last: fold.last, next }
  }
}

class UnfoldableError extends Error {}

class Fold {
  readonly #log: Log
  readonly #passedOver: PassedOver
  #link: Link | null = null
  #pipelineOf: PipelineOf = () => {
    throw new UnfoldableError('no pipeline')
  }
  last: Last | null = null

  constructor(log: Log, passedOver: PassedOver) {
    this.#log = log
    this.#passedOver = passedOver
  }

  get revision(): bigint {
    return this.#link?.revision ?? -1n
  }

  async take(events: readonly RecordedEvent[]): Promise<FoldFailure | null> {
    const verified = verifyStream(events, this.#link)
    const [first] = events
    if (first !== undefined && this.#passedOver(first.revision)) {
      this.#passOver(first, verified.kind === 'intact' ? verified.link : null)
      return null
    }
    if (verified.kind === 'broken') return verified
    for (const event of events) {
      try {
        await this.#fold(event)
      } catch (error) {
        if (!(error instanceof UnfoldableError)) throw error
        return { kind: 'unfoldable', revision: event.revision, reason: error.message }
      }
    }
    this.#link = verified.link
    return null
  }

  #passOver({ revision, position, metadata }: RecordedEvent, link: Link | null): void {
    const hash = withoutHash(metadata)?.hash ?? this.#link?.hash ?? noHash
    this.#link = link ?? { revision, hash, keys: this.#link?.keys ?? new Map() }
    if (this.last !== null) this.last = { state: { ...this.last.state, revision, lastHash: hash }, position }
  }

  async #fold(event: RecordedEvent): Promise<void> {
    const decoded = foldable(() => decode(event))
    if (!isOperationEvent(decoded)) throw new UnfoldableError(`${decoded.type} in an operation's stream`)
    if (decoded.type === 'OperationOpened') {
      const pipeline = await this.#pipeline(decoded.data.pipeline.name, decoded.data.pipeline.version)
      this.#pipelineOf = () => pipeline
    }
    const state = foldable(() => evolve(this.last?.state ?? null, decoded, decoded.meta, this.#pipelineOf))
    this.last = { state, position: event.position }
  }

  /** From the log, not from the read model: that is what is being audited. */
  async #pipeline(name: string, version: number): Promise<CompiledPipeline> {
    if (name === anyPipeline.name) return anyPipeline
    // Each event of a pipeline's stream defines the next version, from 1.
    const fromRevision = BigInt(version) - 1n
    const [stored] = await this.#log.readStream(pipelineStream(name), { fromRevision, maxCount: 1 })
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

/** In pieces of so many units; events that are passed over are pieces of their own. */
function* turns(events: readonly RecordedEvent[], passedOver: PassedOver): Generator<readonly RecordedEvent[]> {
  let turn: RecordedEvent[] = []
  let units = 0
  for (const event of events) {
    const alone = passedOver(event.revision)
    if (turn.length > 0 && (alone || units >= turnUnits)) {
      yield turn
      turn = []
      units = 0
    }
    turn.push(event)
    units = alone ? turnUnits : units + event.data.length + event.metadata.length
  }
  if (turn.length > 0) yield turn
}
