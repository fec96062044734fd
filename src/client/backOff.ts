/** How long and how often a call is tried. Milliseconds. */
export interface RetryPolicy {
  /** The first one counts. */
  readonly attemptsMax: number
  /** For the call as a whole, waits included. */
  readonly timeoutMs: number
  /** The longest wait before the second attempt; doubled for each one after it. */
  readonly backOffMsBase: number
  readonly backOffMsMax: number
}

/**
 * "Full jitter": any wait up to the bound is equally likely, so that clients that failed together do not come back
 * together. What the service asked for (`Retry-After`) is waited in full first, for the same reason.
 * `failures`: how many attempts failed in a row, from 1. `random`: from 0 to 1, exclusive.
 */
export function backOffMs(
  failures: number,
  retryAfterMs: number | null,
  policy: RetryPolicy,
  random: () => number,
): number {
  const span = Math.min(policy.backOffMsMax, policy.backOffMsBase * 2 ** Math.min(failures - 1, 40))
  return (retryAfterMs ?? 0) + random() * span
}
