/**
 * The event loop, shared between uploads and everybody else: after each turn's worth of lines an upload waits for the next
 * one, and in each turn of the loop one upload goes on. Without it a chunk of lines that are answered at once (refused ones,
 * a few bytes each) would keep the loop for as long as it lasts, and so would the next upload's (measured with 20 of them:
 * 2.3 s for a report beside them).
 */
export interface BulkTurns {
  /** Resolves in a later turn of the event loop, to one at a time, in the order of the calls. */
  next(): Promise<void>
}

/** Lines of an upload that are looked at in a turn: some milliseconds. */
export const linesOfTurn = 64

export function createBulkTurns(): BulkTurns {
  const waiting: (() => void)[] = []
  const goOn = (): void => {
    waiting.shift()?.()
    if (waiting.length > 0) setImmediate(goOn)
  }
  return {
    next: () =>
      new Promise((resolve) => {
        waiting.push(resolve)
        if (waiting.length === 1) setImmediate(goOn)
      }),
  }
}
