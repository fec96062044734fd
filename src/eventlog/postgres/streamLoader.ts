import type { RecordedEvent } from '../eventLog.ts'
import type { StreamRead } from './reader.ts'

type ReadStreams = (reads: readonly StreamRead[]) => Promise<readonly (readonly RecordedEvent[])[]>

/** Most reads in one query. */
const readsMax = 256
/** Queries under way at once; reads that come meanwhile gather for the next. */
const queriesMax = 2

interface Waiting {
  readonly read: StreamRead
  readonly resolve: (events: readonly RecordedEvent[]) => void
  readonly reject: (error: unknown) => void
}

/**
 * Gathers the reads that come in one turn of the event loop, or while queries are under way, into one
 * query: a batch of commands on cold operations costs one round trip, not one each.
 */
export class StreamLoader {
  readonly #readStreams: ReadStreams
  #waiting: Waiting[] = []
  #queries = 0
  #scheduled = false

  constructor(readStreams: ReadStreams) {
    this.#readStreams = readStreams
  }

  read(read: StreamRead): Promise<readonly RecordedEvent[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ read, resolve, reject })
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#scheduled || this.#waiting.length === 0 || this.#queries >= queriesMax) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      const taken = this.#waiting.splice(0, readsMax)
      this.#queries += 1
      void this.#load(taken).finally(() => {
        this.#queries -= 1
        this.#schedule()
      })
      this.#schedule()
    })
  }

  /** Never rejects: each read is told. */
  async #load(taken: readonly Waiting[]): Promise<void> {
    try {
      const results = await this.#readStreams(taken.map(({ read }) => read))
      for (const [index, { resolve }] of taken.entries()) resolve(results[index] ?? [])
    } catch (error) {
      for (const { reject } of taken) reject(error)
    }
  }
}
