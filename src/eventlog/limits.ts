/** Most events one `readStream` returns. */
export const readStreamCountMax = 1_000
/** Most events one `readAll` returns. */
export const readAllCountMax = 10_000

export function checkMaxCount(maxCount: number, limit: number): void {
  if (!Number.isInteger(maxCount) || maxCount < 1 || maxCount > limit) {
    throw new RangeError(`maxCount must be an integer from 1 to ${limit}, not ${maxCount}`)
  }
}

/** What `bytesMax` of a read counts of an event. */
export function contentBytes({ data, metadata }: { readonly data: string; readonly metadata: string }): number {
  return Buffer.byteLength(data) + Buffer.byteLength(metadata)
}
