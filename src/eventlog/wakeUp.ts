/** Lets any number of waiters sleep until something happens, their patience ends, or their signal aborts. */
export class WakeUp {
  readonly #waiters = new Set<() => void>()

  wake(): void {
    for (const waiter of [...this.#waiters]) waiter()
  }

  /** Settles at the next `wake`, when `signal` aborts, or after `timeoutMs`; never rejects. */
  wait(signal: AbortSignal, timeoutMs?: number): Promise<void> {
    if (signal.aborted) return Promise.resolve()
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
