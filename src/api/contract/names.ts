import { z } from 'zod'
import { isJsonObject, type JsonObject } from '../../operation/json.ts'
import { keyPattern, namePattern, newNamePattern, operationIdPattern, printablePattern } from '../../operation/names.ts'
import { normaliseTime } from '../time.ts'

export const operationId = z
  .string()
  .regex(operationIdPattern, 'is not an operation id: a letter or digit, then up to 127 letters, digits and . _ : -')
  .refine((id) => id !== 'stream', 'is a reserved word')
  .meta({ description: 'An operation; chosen by its caller, or made by the server.', examples: ['op-1'] })

const nameRule = 'must be a letter or digit, then up to 63 letters, digits, - and _'

export const pipelineName = z
  .string()
  .regex(namePattern, nameRule)
  .meta({ description: 'The name of a pipeline: letters, digits, `-` and `_`, 64 at most.', examples: ['invoice'] })

export const trackName = z
  .string()
  .regex(namePattern, nameRule)
  .meta({ description: 'The name of a track: letters, digits, `-` and `_`, 64 at most.', examples: ['main'] })

/**
 * The patterns of names as the document publishes them. Theirs need Unicode mode, which JSON Schema recommends and many
 * validators do without, so classes are written out. Lengths stand beside them: in JSON Schema they count code points.
 * Lone surrogates are left out, as no UTF-8 holds one.
 */
const unprintable = String.raw`\u0000-\u001f\u007f-\u009f\u2028\u2029`
const reordering = String.raw`\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069`
const invisible = String.raw`\u00ad\u180e\u200b\u2060-\u206f\ufeff\ufff9-\ufffb`
const published = (refused: string, maxLength: number) => ({ pattern: `^[^${refused}]+$`, minLength: 1, maxLength })
/** Of a reason that an operator gives. */
export const publishedReason = published(unprintable + reordering, 500)

/** A status, a service or a theme, as it may have been recorded. */
export const label = z
  .string()
  .regex(printablePattern, 'must be 1 to 128 printable characters')
  .meta(published(unprintable, 128))

/** The same as it is given to something new. */
const newLabel = z
  .string()
  .regex(newNamePattern, 'must be 1 to 128 printable characters, without any that are invisible or reorder text')
  .meta(published(unprintable + reordering + invisible, 128))

export const statusName = newLabel.meta({
  description: 'A status: 1 to 128 printable characters, spaces too.',
  examples: ['read'],
})

export const serviceName = newLabel.meta({
  description: 'Who reports: 1 to 128 printable characters. Marks are kept for each service by itself.',
  examples: ['ocr'],
})

export const themeName = newLabel.meta({
  description: 'What the operation is about, to filter by: 1 to 128 printable characters. Set once.',
  examples: ['claims'],
})

export const idempotencyKey = z
  .string()
  .regex(keyPattern, 'must be 1 to 255 visible ASCII characters')
  .meta({ description: 'Scoped to the operation (or pipeline). The server makes one when there is none.' })

export const revision = z.int().min(0).meta({ description: "0-based index of an event in its operation's stream." })

export const pipelineVersion = z
  .int()
  .min(1)
  .meta({ description: 'A version of the pipeline, from 1.', examples: [1] })

export const sequence = z
  .int()
  .min(0)
  .meta({
    description:
      "The service's own counter of its reports on this track, 0 to 2^53-1. A report below the highest one decided is ignored.",
    examples: [3],
  })

export const positionToken = z.string().meta({
  description: 'A place in the whole log: opaque, ordered by the server alone, void (410) on another log.',
})

/** What the service writes. */
export const timestamp = z.iso.datetime({ precision: 3 }).meta({ description: 'RFC 3339, UTC, milliseconds.' })

/** What callers may write: any RFC 3339 time; it is kept as UTC with milliseconds. */
export const timestampInput = z
  .string()
  .refine((text) => normaliseTime(text) !== null, 'is not an RFC 3339 time')
  .meta({ format: 'date-time' })

/** A JSON object, left as it is: not copied, its members not looked at. */
export const jsonObject = z
  .custom<JsonObject>(isJsonObject, 'must be an object')
  .meta({ type: 'object', additionalProperties: true })
