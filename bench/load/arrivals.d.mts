export function arrivals(perSecond: number): {
  readonly dueMs: (n: number) => number
  readonly dueBy: (ms: number) => number
}
