import type { ServerResponse } from 'node:http'

/** More than so many are ended at once: each holds a connection that somebody else may need. */
const heldMax = 1_000

/**
 * Answers of streams that cannot be served now. Each has been told all there is to tell, and is held for the time that its
 * reader was asked to stay away: one library (`event-source-plus`) pays no heed to `retry:` and would come back within
 * milliseconds of the end, again and again.
 */
export class TurnedAway {
  readonly #held = new Set<() => void>()
  #count = 0

  /** So many since the start. */
  get count(): number {
    return this.#count
  }

  end(response: ServerResponse, text: string, afterMs: number): void {
    this.#count += 1
    response.on('error', () => undefined)
    if (afterMs <= 0 || this.#held.size >= heldMax) {
      response.end(text)
      return
    }
    response.write(text)
    const end = () => {
      clearTimeout(timer)
      this.#held.delete(end)
      response.end()
    }
    const timer = setTimeout(end, afterMs)
    this.#held.add(end)
    response.once('close', end)
  }

  endAll(): void {
    for (const end of this.#held) end()
  }
}
