/** Tasks that wait, by owner: the owners take turns, each in the order of its own tasks. */
export class FairQueue<T> {
  readonly #lines = new Map<string, T[]>()

  get isEmpty(): boolean {
    return this.#lines.size === 0
  }

  push(owner: string, task: T): void {
    const line = this.#lines.get(owner)
    if (line === undefined) this.#lines.set(owner, [task])
    else line.push(task)
  }

  shift(): T | undefined {
    for (const [owner, line] of this.#lines) {
      const task = line.shift()
      // Behind all others, if there is more of its own.
      this.#lines.delete(owner)
      if (line.length > 0) this.#lines.set(owner, line)
      return task
    }
    return undefined
  }
}

/** Runs at most so many tasks at a time. Owners whose tasks wait take turns, so that nobody waits for all that another sent. */
export class FairSlots {
  readonly #atOnceMax: number
  readonly #queue = new FairQueue<() => void>()
  #running = 0

  constructor(atOnceMax: number) {
    this.#atOnceMax = atOnceMax
  }

  async run<T>(owner: string, task: () => Promise<T>): Promise<T> {
    // The slot is handed over by the one that leaves, so that no newcomer slips in between.
    if (this.#running < this.#atOnceMax) this.#running += 1
    else await new Promise<void>((resolve) => this.#queue.push(owner, resolve))
    try {
      return await task()
    } finally {
      const next = this.#queue.shift()
      if (next === undefined) this.#running -= 1
      else next()
    }
  }
}
