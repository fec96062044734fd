const firstMs = 50
const longestMs = 2_000

/** Milliseconds to wait after the n-th failure in a row (from 1): doubling, with jitter so that nodes do not return as one. */
export function backOffMs(failures: number): number {
  const ceiling = Math.min(longestMs, firstMs * 2 ** Math.min(failures - 1, 10))
  return ceiling / 2 + Math.random() * (ceiling / 2)
}
