import type { Clock } from '../../src/client/clock.ts'

export interface ManualClock extends Clock {
  /** Goes on by so many milliseconds, calling back what falls due on the way, each at its time. */
  advance(ms: number): Promise<void>
  /** When the next callback is due, in milliseconds from now; null when none is. */
  readonly nextInMs: number | null
}

/** Time that stands still until a test moves it. */
export function createManualClock(): ManualClock {
  let now = 0
  const due = new Set<{ readonly at: number; readonly callback: () => void }>()
  const first = () => [...due].sort((one, other) => one.at - other.at)[0]
  return {
    now: () => now,
    after(ms, callback) {
      const timer = { at: now + ms, callback }
      due.add(timer)
      return () => due.delete(timer)
    },
    soon: (callback) => {
      setImmediate(callback)
    },
    async advance(ms) {
      const until = now + ms
      await settled()
      for (let timer = first(); timer !== undefined && timer.at <= until; timer = first()) {
        due.delete(timer)
        now = timer.at
        timer.callback()
        await settled()
      }
      now = until
    },
    get nextInMs() {
      const timer = first()
      return timer === undefined ? null : timer.at - now
    },
  }
}

/** What is ready to run has run, and what that made ready. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate)
}
