import { FairQueue } from '../../runtime/fairQueue.ts'

/**
 * The event loop, shared between uploads and everybody else: after some lines that are refused an upload waits for its next
 * turn, and in each turn of the loop one upload goes on. Lines that become commands wait for the log, and how many are in hand is
 * bounded; those that are refused are answered at once, and a chunk of them, a few bytes each, would keep the loop for as long
 * as it lasts, and so would the next upload's (measured with 20 of them: 2.3 s for a report beside them).
 */
export interface BulkScheduler {
  /** Resolves in a later turn of the event loop, to one at a time: owners take turns, each in the order of its calls. */
  next(owner: string): Promise<void>
}

/** Lines that are refused in a turn: some milliseconds. */
export const refusedPerTick = 64

export function createBulkScheduler(): BulkScheduler {
  const waiting = new FairQueue<() => void>()
  const goOn = (): void => {
    waiting.shift()?.()
    if (!waiting.isEmpty) setImmediate(goOn)
  }
  return {
    next: (owner) =>
      new Promise((resolve) => {
        if (waiting.isEmpty) setImmediate(goOn)
        waiting.push(owner, resolve)
      }),
  }
}
