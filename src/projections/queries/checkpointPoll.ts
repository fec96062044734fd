import type { CheckpointSignal } from '../checkpointSignal.ts'

const pollMs = 20

/**
 * While somebody waits and this node does not project: one query for all of them. Polled, not notified: NOTIFY takes a
 * lock of the whole server at commit (correctness.md row 8), which every batch would pay and only waiters would use.
 * `ask`: the checkpoint of the rows, null when they are another log's.
 */
export function pollCheckpoint(
  signal: CheckpointSignal,
  ask: () => Promise<bigint | null>,
): { readonly stop: () => void } {
  let polling = false
  let stopped = false
  const poll = async (): Promise<void> => {
    polling = true
    while (!stopped && signal.waiting > 0 && !signal.published) {
      try {
        const position = await ask()
        if (position !== null) signal.observe(position)
      } catch {
        // Who waits has a deadline of its own; the next round asks again.
      }
      await new Promise((resolve) => setTimeout(resolve, pollMs))
    }
    polling = false
  }
  const forget = signal.onChange(() => {
    if (!polling && !stopped && signal.waiting > 0 && !signal.published) void poll()
  })
  return {
    stop: () => {
      stopped = true
      forget()
    },
  }
}
