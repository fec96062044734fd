/** Lets those who wait pass whenever it is opened; shut again at once. */
export interface Gate {
  open(): void
  /** Resolves at the next opening; rejects with the signal's reason when it is aborted first. */
  passed(signal: AbortSignal | undefined): Promise<void>
}

export function createGate(): Gate {
  let waiting: (() => void)[] = []
  return {
    open() {
      if (waiting.length === 0) return
      const now = waiting
      waiting = []
      for (const pass of now) pass()
    },
    passed: (signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) return reject(signal.reason)
        const aborted = () => {
          waiting = waiting.filter((one) => one !== pass)
          reject(signal?.reason)
        }
        const pass = () => {
          signal?.removeEventListener('abort', aborted)
          resolve()
        }
        waiting.push(pass)
        signal?.addEventListener('abort', aborted, { once: true })
      }),
  }
}
