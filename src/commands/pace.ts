/**
 * How fast commands are answered while more of them wait than one batch needs. A queue that is bounded by its length alone
 * is as slow as it is long: what would wait too long at this pace is better refused while its caller is still there.
 */
export interface Pace {
  /** The queue's length has changed; one more was answered, or none. */
  note(open: number, answered: 0 | 1, nowMs: number): void
  /** Milliseconds until as many are answered as are open; 0 when nothing is known of it: nobody had to wait of late. */
  expectedMs(open: number): number
}

const windowMs = 100
/** With fewer in the queue its pace is that of those who send. */
const busyMin = 200
/** Of the newest window. Batches are answered at once: a single window tells little. */
const weight = 0.2

export function createPace(): Pace {
  let beganMs = 0
  let answers = 0
  let lowest = 0
  let perMs = 0
  return {
    note(open, answered, nowMs) {
      answers += answered
      if (open < lowest) lowest = open
      const ms = nowMs - beganMs
      if (ms < windowMs) return
      if (lowest < busyMin) perMs = 0
      else perMs = perMs === 0 ? answers / ms : perMs * (1 - weight) + (answers / ms) * weight
      beganMs = nowMs
      answers = 0
      lowest = open
    },
    expectedMs: (open) => (perMs === 0 ? 0 : open / perMs),
  }
}
