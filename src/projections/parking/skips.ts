import type { EventLog, RecordedEvent } from '../../eventlog/eventLog.ts'
import { type Intervention, interventionOf, interventionStream } from './interventions.ts'

const pageSize = 1_000

/** The events that operators had passed over, each from its skip's place in the log on. Few: a person ordered each. */
export class Skips {
  /** By stream and revision: the position of the first skip. */
  readonly #positions = new Map<string, Map<bigint, bigint>>()

  clear(): void {
    this.#positions.clear()
  }

  /** All that the log holds by now. */
  async learn(log: Pick<EventLog, 'readStream'>): Promise<void> {
    for (let fromRevision = 0n; ; ) {
      const events = await log.readStream(interventionStream, { fromRevision, maxCount: pageSize })
      for (const event of events) {
        const intervention = readable(event)
        if (intervention?.type === 'EventSkipped') this.add(intervention)
      }
      const last = events.at(-1)
      if (last === undefined || events.length < pageSize) return
      fromRevision = last.revision + 1n
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
