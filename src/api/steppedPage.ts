import type { ReadAt } from '../projections/readModel.ts'

export interface PageBounds {
  readonly pageSize: number
  /** The page ends early at this size. */
  readonly pageBytesMax: number
  /** Rows asked of the read model at once: documents can be large, and the page may end before they are all shown. */
  readonly stepMax: number
}

export interface SteppedRead<Row, Place> {
  /** The next rows after a place (undefined: the first ones), at most `maxCount`. */
  readonly read: (maxCount: number, after: Place | undefined) => Promise<ReadAt<readonly Row[]>>
  readonly textOf: (row: Row) => string
  readonly placeOf: (row: Row) => Place
}

export interface SteppedPage<Place> {
  /** JSON, a text a row. */
  readonly texts: readonly string[]
  /** Where the next page begins; null: there are no more rows. */
  readonly next: Place | null
  readonly position: bigint
}

/** A page of a list, read step by step until it is full of rows or of bytes. */
export async function readPage<Row, Place>(
  { pageSize, pageBytesMax, stepMax }: PageBounds,
  first: Place | undefined,
  { read, textOf, placeOf }: SteppedRead<Row, Place>,
): Promise<SteppedPage<Place>> {
  const texts: string[] = []
  let after = first
  let position: bigint | null = null
  let bytes = 0
  let more = true
  while (more && texts.length < pageSize && bytes < pageBytesMax) {
    const step = Math.min(stepMax, pageSize - texts.length)
    // One more than is shown says whether there is more.
    const found = await read(step + 1, after)
    // Of several steps the first one's, or a later one's after everything was begun anew.
    if (position === null || found.position < position) position = found.position
    more = found.value.length > step
    for (const row of found.value.slice(0, step)) {
      const text = textOf(row)
      texts.push(text)
      bytes += text.length
      after = placeOf(row)
    }
  }
  return { texts, next: more && after !== undefined ? after : null, position: position ?? 0n }
}
