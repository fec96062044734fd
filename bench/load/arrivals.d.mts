export function arrivals(perSecond: number): {
  dueMs(n: number): number
  dueBy(ms: number): number
}
