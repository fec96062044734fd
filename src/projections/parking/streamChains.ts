import type { EventLog, RecordedEvent } from '../../eventlog/eventLog.ts'
import { eventAt } from '../../eventlog/readStream.ts'
import { withoutHash } from '../../operation/envelope.ts'
import { streamSubject } from '../../operation/streamName.ts'
import { type ChainEnd, chainedOn, TamperedError } from '../../operation/verifyStream.ts'
import { type Folding, unprintable } from '../folding.ts'

type Log = Pick<EventLog, 'readStream'>

/**
 * Holds each event that is about to be folded against the hash chain of its stream. Of an operation the folded state says
 * where its chain stands; of a pipeline that is kept here. What somebody else has folded already (Folding.recognise) is not
 * looked at: then nothing of the stored bytes goes into the rows.
 */
export class StreamChains {
  readonly #log: Log
  /** Of streams of pipelines, as far as they were folded. */
  readonly #ends = new Map<string, ChainEnd>()

  constructor(log: Log) {
    this.#log = log
  }

  /** Before the rows may have become others. */
  clear(): void {
    this.#ends.clear()
  }

  /** Before the stream is folded again from an earlier event on. */
  restart(stream: string): void {
    this.#ends.delete(stream)
  }

  /**
   * Null when the event may be folded, otherwise why its stream is set aside. A promise only where the log has to be asked.
   * Throws NewerSchemaError.
   */
  faultOf(event: RecordedEvent, folding: Folding): TamperedError | null | Promise<TamperedError | null> {
    const { stream, revision, position } = event
    if (position <= folding.to || folding.parkedAt(stream) !== undefined) return null
    const subject = streamSubject(stream)
    if (subject === null || unprintable.test(subject.name)) return null
    if (subject.kind === 'operation') {
      if (folding.recognises(stream)) return null
      const state = folding.stateOf(subject.name, stream)
      if (state !== null && revision <= state.revision) return null
      return this.after(event, state === null ? null : { revision: state.revision, hash: state.lastHash })
    }
    return this.ofPipeline(event)
  }

  /** The same for an event that is folded on from `end` (null: from the beginning). */
  after(event: RecordedEvent, end: ChainEnd | null): TamperedError | null | Promise<TamperedError | null> {
    const expected = end === null ? 0n : end.revision + 1n
    if (event.revision !== expected) return this.#gapBefore(event, expected)
    return faultAfter(event, end)
  }

  /** The same for the next event of a pipeline's stream. */
  ofPipeline(event: RecordedEvent): TamperedError | null | Promise<TamperedError | null> {
    const known = this.#ends.get(event.stream)
    if (event.revision > 0n && known === undefined) return this.#ofPipelineAnew(event)
    return this.#goOn(event, known ?? null)
  }

  /** After a take-over: what is folded already is not verified again, only whether the event follows on it. */
  async #ofPipelineAnew(event: RecordedEvent): Promise<TamperedError | null> {
    const { stream, revision } = event
    const before = await eventAt(this.#log, stream, revision - 1n)
    const hash = before === null ? undefined : withoutHash(before.metadata)?.hash
    if (hash === undefined) return missingBefore(event, revision - 1n)
    return this.#goOn(event, { revision: revision - 1n, hash })
  }

  #goOn(event: RecordedEvent, end: ChainEnd | null): TamperedError | null | Promise<TamperedError | null> {
    const fault = this.after(event, end)
    if (fault === null) {
      const hash = withoutHash(event.metadata)?.hash
      if (hash !== undefined) this.#ends.set(event.stream, { revision: event.revision, hash })
    }
    return fault
  }

  /**
   * That an event does not follow on what is folded may be the rows' fault, or that of a skip that left nothing to fold on:
   * only the log says whether it lacks one.
   */
  async #gapBefore(event: RecordedEvent, expected: bigint): Promise<TamperedError | null> {
    const found = await eventAt(this.#log, event.stream, expected)
    const isThere = found !== null && found.position < event.position
    return isThere ? null : missingBefore(event, expected)
  }
}

function faultAfter(event: RecordedEvent, end: ChainEnd | null): TamperedError | null {
  try {
    chainedOn(event, end)
    return null
  } catch (error) {
    if (error instanceof TamperedError) return error
    throw error
  }
}

function missingBefore(event: RecordedEvent, revision: bigint): TamperedError {
  return new TamperedError(event, `revision ${revision} is missing before it`)
}
