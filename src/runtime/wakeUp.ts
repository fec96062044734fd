/** Lets any number of waiters sleep until something happens, their patience ends, or their signal aborts. */
export class WakeUp {
  readonly #waiters = new Set<() => void>()
  #count = 0

  /** How often it was woken. Taken before looking and given to `wait`, it keeps a wake in between from being missed. */
  get count(): number {
    return this.#count
  }

  wake(): void {
    this.#count += 1
    for (const waiter of this.#waiters) waiter()
  }

  /**
   * Settles at the next `wake`, when `signal` aborts, or after `timeoutMs` (undefined: no such end); at once when woken since
   * `count` was `sinceCount`. Never rejects.
   */
  wait(signal: AbortSignal, timeoutMs?: number, sinceCount: number = this.#count): Promise<void> {
    if (signal.aborted || sinceCount !== this.#count) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = timeoutMs === undefined ? undefined : setTimeout(done, timeoutMs)
      const waiters = this.#waiters
      function done(): void {
        clearTimeout(timer)
        waiters.delete(done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      waiters.add(done)
      signal.addEventListener('abort', done)
    })
  }
}

/** Settles after `ms` or when `signal` aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new WakeUp().wait(signal, ms)
}
