import { createHistogram } from 'node:perf_hooks'

const longestUs = 600_000_000

/** Latencies in an HDR histogram of microseconds; what was refused counts as answered after every other. */
export function createLatencies() {
  const histogram = createHistogram({ lowest: 1, highest: longestUs, figures: 3 })
  let refused = 0

  const percentileMs = (percentile) => {
    const rank = (percentile / 100) * (histogram.count + refused)
    if (rank > histogram.count) return Number.POSITIVE_INFINITY
    return histogram.percentile((rank / histogram.count) * 100) / 1_000
  }

  return {
    record: (ms) => histogram.record(Math.min(longestUs, Math.max(1, Math.round(ms * 1_000)))),
    refuse() {
      refused += 1
    },
    /** Null when there was none. */
    summary() {
      if (histogram.count + refused === 0) return null
      const maxMs = refused > 0 ? Number.POSITIVE_INFINITY : histogram.max / 1_000
      const [p50Ms, p90Ms, p99Ms, p999Ms] = [50, 90, 99, 99.9].map(percentileMs)
      return { count: histogram.count, refused, p50Ms, p90Ms, p99Ms, p999Ms, maxMs }
    },
  }
}
