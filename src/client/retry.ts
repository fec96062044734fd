import { backOffMs, type RetryPolicy } from './backOff.ts'
import { type Clock, pause } from './clock.ts'
import { errorOf, mayHaveLanded, mayRetry, type Outcome, type WaybillError } from './errors.ts'

export interface Timing {
  readonly clock: Clock
  /** From 0 to 1, exclusive. */
  readonly random: () => number
  /** How long one attempt waits for its answer. */
  readonly attemptTimeoutMs: number
  readonly retry: RetryPolicy
  /** Told why an attempt is made again. Must not throw. */
  readonly onRetry?: (error: WaybillError) => void
}

export interface Retried {
  readonly signal?: AbortSignal | undefined
  /** Overrides the policy's. */
  readonly timeoutMs?: number | undefined
  readonly command?: string
}

/** Tries until there is an answer, an error that stays one, or no time left. Rejects with a WaybillError. */
export async function retrying<T>(
  timing: Timing,
  { signal, timeoutMs = timing.retry.timeoutMs, command }: Retried,
  attempt: (leftMs: number) => Promise<Outcome<T>>,
): Promise<T> {
  const { clock, retry } = timing
  const deadline = clock.now() + timeoutMs
  let landed = false
  for (let attempts = 1; ; attempts += 1) {
    const outcome = await attempt(deadline - clock.now())
    if (outcome.kind === 'answer') return outcome.value
    landed ||= mayHaveLanded(outcome)
    const again = mayRetry(outcome)
    const waitMs = backOffMs(attempts, outcome.retryAfterMs, retry, timing.random)
    if (!again || attempts >= retry.attemptsMax || clock.now() + waitMs >= deadline) {
      // A refusal that stays one is the command's first and last outcome: receipts are looked for before rules.
      const refused = outcome.kind === 'problem' && !again
      const open = command !== undefined && (refused ? mayHaveLanded(outcome) : landed)
      throw errorOf(outcome, { command, attempts, mayHaveLanded: open })
    }
    timing.onRetry?.(errorOf(outcome, { command, attempts, mayHaveLanded: landed }))
    await pause(clock, waitMs, signal)
  }
}
