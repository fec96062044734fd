import type { RecordedEvent } from '../eventLog.ts'
import type { StreamRead } from './reader.ts'

type ReadStreams = (reads: readonly StreamRead[]) => Promise<readonly (readonly RecordedEvent[])[]>

/** Queries under way at once; reads that come meanwhile gather for the next. */
const queriesMax = 2
/** Most streams in one query, and most events of each: many short streams, or a few long ones, so that no answer is huge. */
const begun = { streamsMax: 256, eventsMax: 64 }
const continued = { streamsMax: 8, eventsMax: 1_000 }

interface Waiting {
  readonly read: StreamRead
  readonly events: RecordedEvent[]
  readonly resolve: (events: readonly RecordedEvent[]) => void
  readonly reject: (error: unknown) => void
}

/**
 * Gathers the reads that come in one turn of the event loop, or while queries are under way, into one query: a batch of
 * commands on cold operations costs one round trip, not one each. What a stream has beyond 64 events is fetched after; it
 * can only have grown meanwhile.
 */
export class StreamLoader {
  readonly #direction: 'forwards' | 'backwards'
  readonly #readStreams: ReadStreams
  readonly #new: Waiting[] = []
  readonly #long: Waiting[] = []
  #queries = 0
  #scheduled = false

  constructor(direction: 'forwards' | 'backwards', readStreams: ReadStreams) {
    this.#direction = direction
    this.#readStreams = readStreams
  }

  read(read: StreamRead): Promise<readonly RecordedEvent[]> {
    return new Promise((resolve, reject) => {
      this.#new.push({ read, events: [], resolve, reject })
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#scheduled || this.#queries >= queriesMax || this.#new.length + this.#long.length === 0) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      // Begun ones first, so that they free the memory they hold.
      const { streamsMax, eventsMax } = this.#long.length > 0 ? continued : begun
      const taken = (this.#long.length > 0 ? this.#long : this.#new).splice(0, streamsMax)
      this.#queries += 1
      void this.#load(taken, eventsMax).finally(() => {
        this.#queries -= 1
        this.#schedule()
      })
      this.#schedule()
    })
  }

  /** Never rejects: each read is told. */
  async #load(taken: readonly Waiting[], eventsMax: number): Promise<void> {
    try {
      const reads = taken.map((waiting) => this.#next(waiting, eventsMax))
      const results = await this.#readStreams(reads)
      for (const [index, waiting] of taken.entries()) {
        const events = results[index] ?? []
        waiting.events.push(...events)
        const isComplete = events.length < eventsMax || waiting.events.length >= waiting.read.maxCount
        if (isComplete) waiting.resolve(waiting.events)
        else this.#long.push(waiting)
      }
    } catch (error) {
      for (const { reject } of taken) reject(error)
    }
  }

  #next({ read, events }: Waiting, eventsMax: number): StreamRead {
    const maxCount = Math.min(read.maxCount - events.length, eventsMax)
    const last = events.at(-1)
    if (last === undefined) return { ...read, maxCount }
    // Before revision 0 there is nothing, and the store says so.
    const step = this.#direction === 'forwards' ? 1n : -1n
    return { stream: read.stream, fromRevision: last.revision + step, maxCount }
  }
}
