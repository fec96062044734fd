import { z } from 'zod'
import { positionToken } from './names.ts'

/** A parameter's text as a number; anything else is left for the schema to refuse. */
export function integerParameter<T extends z.ZodType<number>>(schema: T) {
  return z.preprocess(
    (value) => (typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value),
    schema,
  )
}

export const pageSizeDefault = 100

export function pageSize(max: number) {
  return integerParameter(z.int().min(1).max(max))
    .exactOptional()
    .meta({ description: `Default ${Math.min(pageSizeDefault, max)}.` })
}

export const pageToken = z
  .string()
  .min(1)
  .max(4_096)
  .exactOptional()
  .meta({ description: 'The `nextPageToken` of the page before, of the same filter and order.' })

export const nextPageToken = z.string().meta({ description: 'What to pass on as `pageToken`; empty on the last page.' })

/** What every read of the read model takes. */
export const visibility = {
  minPosition: positionToken
    .exactOptional()
    .meta({ description: 'Waits until it is visible: 5 s, or as `Prefer: wait=N` says; then 503 `not_yet_visible`.' }),
  consistency: z
    .enum(['strong'])
    .exactOptional()
    .meta({ description: '`strong`: all that the log had when the call came.' }),
}

/** Where a live stream begins. */
export const streamStart = {
  after: positionToken.exactOptional().meta({
    description:
      'Exclusive: a position, or `head` for what comes from now on. Default: from the beginning. `Last-Event-ID` and ' +
      '`lastEventId` go before it.',
  }),
  lastEventId: positionToken.exactOptional().meta({
    description:
      'The last id of the stream before, for readers that cannot send a header. `Last-Event-ID` goes before it; empty: as if ' +
      'it were not given.',
  }),
}

export const noQuery = z.strictObject({})
