import type { EventLog, RecordedEvent } from '../../eventlog/eventLog.ts'
import { streamEvents } from '../../eventlog/readStream.ts'
import { NewerSchemaError } from '../../operation/eventSchemas.ts'
import { type ChainEnd, chainedOn, TamperedError } from '../../operation/verifyStream.ts'
import { type Intervention, interventionOf, interventionStream } from './interventions.ts'

const pageSize = 1_000

/** The events that operators had passed over, each from its skip's place in the log on. Few: a person ordered each. */
export class Skips {
  /** By stream and revision: the position of the first skip. */
  readonly #positions = new Map<string, Map<bigint, bigint>>()

  /** Of the interventions' own stream: where its chain stands, and what broke it. */
  #end: ChainEnd | null = null
  #tampered: TamperedError | null = null

  clear(): void {
    this.#positions.clear()
    this.#end = null
    this.#tampered = null
  }

  /** What broke the hash chain of the interventions' stream: from there on nothing in it counts. Null: it holds. */
  get tampered(): TamperedError | null {
    return this.#tampered
  }

  /**
   * Why the intervention does not count; null: it does. Those that were learnt already may come in again. Throws
   * NewerSchemaError.
   */
  faultOf(event: RecordedEvent): TamperedError | null {
    const { revision } = event
    if (this.#tampered !== null) return revision < this.#tampered.revision ? null : this.#tampered
    if (this.#end !== null && revision <= this.#end.revision) return null
    try {
      this.#end = chainedOn(event, this.#end)
    } catch (error) {
      if (!(error instanceof TamperedError)) throw error
      this.#tampered = error
    }
    return this.#tampered
  }

  /** All that the log holds by now, up to where its chain is broken or a newer node goes on. */
  async learn(log: Pick<EventLog, 'readStream'>): Promise<void> {
    for await (const event of streamEvents(log, interventionStream, { pageSize })) {
      if (!this.#counts(event)) return
      const intervention = readable(event)
      if (intervention?.type === 'EventSkipped') this.add(intervention)
    }
  }

  #counts(event: RecordedEvent): boolean {
    try {
      return this.faultOf(event) === null
    } catch (error) {
      if (error instanceof NewerSchemaError) return false
      throw error
    }
  }

  add({ stream, revision, position }: Extract<Intervention, { type: 'EventSkipped' }>): void {
    const known = this.#positions.get(stream)
    if (known === undefined) this.#positions.set(stream, new Map([[revision, position]]))
    else if (!known.has(revision)) known.set(revision, position)
  }

  /** Whether any event of the stream is, or is going to be, passed over. */
  concern(stream: string): boolean {
    return this.#positions.size > 0 && this.#positions.has(stream)
  }

  /** The position of the first skip of this event; null when there is none. */
  positionOf(stream: string, revision: bigint): bigint | null {
    return this.#positions.get(stream)?.get(revision) ?? null
  }
}

/** Null for what this node cannot read: the fold stops before it, or has set it aside. */
function readable(event: RecordedEvent): Intervention | null {
  try {
    return interventionOf(event)
  } catch {
    return null
  }
}
