/** The clock as RFC 3339 UTC with milliseconds. Printing a date costs more than deciding some commands: once a millisecond is enough. */
export function isoClock(clock: () => number): () => string {
  let printedMs = Number.NaN
  let printed = ''
  return () => {
    const nowMs = clock()
    if (nowMs !== printedMs) {
      printedMs = nowMs
      printed = new Date(nowMs).toISOString()
    }
    return printed
  }
}
