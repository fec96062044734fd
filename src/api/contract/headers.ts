import { z } from 'zod'
import { idempotencyKey } from './names.ts'

/** For the document; read by commandHeaders.ts. */
export const commandRequestHeaders = z.object({
  'idempotency-key': idempotencyKey.optional(),
  'if-match': z.string().optional().meta({
    description:
      'The revision seen last, in quotes, or `*` for any; at another one the answer is 412. `W/"3"` is taken for `"3"`.',
  }),
  traceparent: z.string().optional().meta({ description: 'W3C Trace Context; kept with the events.' }),
})

export const interventionRequestHeaders = z.object({
  'idempotency-key': idempotencyKey.optional(),
  prefer: z.string().optional().meta({ description: '`wait=N`: seconds to wait until it is done.' }),
  traceparent: z.string().optional().meta({ description: 'W3C Trace Context; kept with the event.' }),
})

export const bulkRequestHeaders = z.object({
  traceparent: z.string().optional().meta({ description: 'W3C Trace Context; kept with the events.' }),
})

export const readRequestHeaders = z.object({
  prefer: z.string().optional().meta({ description: '`wait=N`: seconds to wait for `minPosition`.' }),
})

const ifNoneMatch = z
  .string()
  .optional()
  .meta({ description: 'Revisions seen, each in quotes, or `*` for any; at one of them the answer is 304.' })

export const operationRequestHeaders = z.object({
  prefer: z.string().optional().meta({ description: '`wait=N`: seconds to wait for `minPosition` or `until`.' }),
  'if-none-match': ifNoneMatch,
})

export const pipelineRequestHeaders = z.object({ 'if-none-match': ifNoneMatch })

export const streamRequestHeaders = z.object({
  'last-event-id': z.string().optional().meta({ description: 'The last id of the stream before: goes on after it.' }),
})
