export interface LatencySummary {
  readonly count: number
  readonly refused: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

export function createLatencies(): {
  readonly record: (ms: number) => void
  readonly refuse: () => void
  readonly summary: () => LatencySummary | null
}
