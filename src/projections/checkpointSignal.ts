/**
 * What this node knows of how far the read model is folded, and who waits for it. The projector of this node, when it is
 * the one that projects, publishes each commit here; otherwise every read and the shared poll report what they saw.
 */
export class CheckpointSignal {
  #position = 0n
  /** True while this node's projector publishes its commits: nobody needs to poll. */
  #published = false
  readonly #waiters = new Set<Waiter>()
  readonly #listeners = new Set<() => void>()
  readonly #onAdvance: (position: bigint) => void

  /** `onAdvance` is told each position that was observed and not before. */
  constructor(onAdvance: (position: bigint) => void = () => undefined) {
    this.#onAdvance = onAdvance
  }

  get position(): bigint {
    return this.#position
  }

  get published(): boolean {
    return this.#published
  }

  get waiting(): number {
    return this.#waiters.size
  }

  /** True when somebody waits for a position up to this one. */
  waitsWithin(position: bigint): boolean {
    for (const waiter of this.#waiters) if (waiter.position <= position) return true
    return false
  }

  /** A checkpoint that was committed or read: never goes back. */
  observe(position: bigint): void {
    if (position <= this.#position) return
    this.#position = position
    this.#onAdvance(position)
    for (const waiter of this.#waiters) if (waiter.position <= position) waiter.settle(true)
  }

  /** The projector of this node starts or stops publishing. */
  publish(published: boolean): void {
    this.#published = published
    this.#tell()
  }

  /** Positions start over: the log is another one. */
  reset(position: bigint): void {
    this.#position = position
  }

  /** Calls back when somebody begins to wait, and when publishing starts or stops. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** True once `position` is reached, false after `timeoutMs`. */
  waitFor(position: bigint, timeoutMs: number): Promise<boolean> {
    if (position <= this.#position) return Promise.resolve(true)
    if (timeoutMs <= 0) return Promise.resolve(false)
    return new Promise((resolve) => {
      const waiter: Waiter = {
        position,
        settle: (reached) => {
          clearTimeout(timer)
          this.#waiters.delete(waiter)
          resolve(reached)
        },
      }
      const timer = setTimeout(() => waiter.settle(false), timeoutMs)
      this.#waiters.add(waiter)
      this.#tell()
    })
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}

interface Waiter {
  readonly position: bigint
  readonly settle: (reached: boolean) => void
}
