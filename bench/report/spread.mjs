// Medians, and between what they lie.
export function median(values) {
  const sorted = [...values].sort((left, right) => left - right)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** @returns {{ value: number, min: number, max: number }} `value`: the median */
export function spread(values) {
  return { value: median(values), min: Math.min(...values), max: Math.max(...values) }
}

/**
 * Ratios taken within each round, where the two stood next to each other in time, and only then the median: the machine's
 * drift over minutes cancels out.
 */
export function ratios(values, bases) {
  return spread(values.map((value, round) => value / bases[round]))
}

/** @param {number} share 0 to 1: the least value that so large a share does not exceed */
export function percentile(values, share) {
  const sorted = [...values].sort((left, right) => left - right)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]
}

/** Less than that is one batch on its way. */
const backlogMin = 10_000

/** Whether a backlog, looked at again and again, grows: its last third is well above the one before, in the median. */
export function isGrowing(backlog) {
  const third = Math.floor(backlog.length / 3)
  if (third === 0) return false
  const before = median(backlog.slice(-2 * third, -third))
  const last = median(backlog.slice(-third))
  return last > backlogMin && last > before * 1.2
}
