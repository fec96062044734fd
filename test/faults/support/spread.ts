/** Null counts as more than all others. */
export function spread(values: readonly (number | null)[]): {
  readonly medianMs: number | null
  readonly maxMs: number | null
} {
  const sorted = values.map((ms) => ms ?? Number.POSITIVE_INFINITY).sort((one, other) => one - other)
  const rounded = (ms: number | undefined) => (ms === undefined || !Number.isFinite(ms) ? null : Math.round(ms))
  return { medianMs: rounded(sorted[sorted.length >> 1]), maxMs: rounded(sorted.at(-1)) }
}
