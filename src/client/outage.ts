import { backOffMs } from './backOff.ts'
import type { Failure } from './errors.ts'
import type { Timing } from './retry.ts'

/** A time in which nothing is sent, for the service as a whole takes nothing. Longer each time, until it takes something. */
export interface Outage {
  readonly isOn: boolean
  /** Milliseconds; 0 when it is over. */
  readonly leftMs: number
  begin(failure: Failure): void
  /** The service has taken something: the next outage will be short again. */
  forget(): void
}

/** `onEnd`: something may be sent again. */
export function createOutage({ clock, random, retry }: Timing, onEnd: () => void): Outage {
  let inARow = 0
  let until = 0
  let cancel: (() => void) | null = null
  return {
    get isOn() {
      return cancel !== null
    },
    get leftMs() {
      return cancel === null ? 0 : Math.max(0, until - clock.now())
    },
    begin(failure) {
      inARow += 1
      const now = clock.now()
      const end = now + backOffMs(inARow, failure.retryAfterMs, retry, random)
      if (cancel !== null && end <= until) return
      cancel?.()
      until = end
      cancel = clock.after(end - now, () => {
        cancel = null
        onEnd()
      })
    },
    forget() {
      inARow = 0
    },
  }
}
