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
  record(ms: number): void
  refuse(): void
  summary(): LatencySummary | null
}
