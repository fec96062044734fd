// When requests of an open loop are due: evenly spaced, whatever became of those before.

/** @returns {{ dueMs(n: number): number, dueBy(ms: number): number }} milliseconds since the start; requests from 0 */
export function arrivals(perSecond) {
  const everyMs = 1_000 / perSecond
  return {
    dueMs: (n) => n * everyMs,
    /** How many are due by then. */
    dueBy: (ms) => (ms < 0 ? 0 : Math.floor(ms / everyMs + 1e-9) + 1),
  }
}
