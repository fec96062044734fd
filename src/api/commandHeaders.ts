import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { keyPattern } from '../operation/names.ts'
import { expectedRevision } from './entityTags.ts'
import { invalidHeader } from './problem.ts'

export interface CommandHeaders {
  readonly key: string
  readonly expectedRevision?: bigint
  readonly traceparent?: string
}

/** A command's envelope as its headers give it. Throws ProblemError. */
export function commandHeaders(headers: IncomingHttpHeaders): CommandHeaders {
  const key = idempotencyKey(headers)
  const ifMatch = headers['if-match']
  const traceparent = traceparentOf(headers)
  const expected = ifMatch === undefined ? undefined : expectedRevision(ifMatch)
  if (expected === undefined) return traceparent === undefined ? { key } : { key, traceparent }
  return traceparent === undefined
    ? { key, expectedRevision: expected }
    : { key, expectedRevision: expected, traceparent }
}

function idempotencyKey(headers: IncomingHttpHeaders): string {
  const given = headers['idempotency-key']
  if (given === undefined) return randomUUID()
  if (typeof given === 'string' && keyPattern.test(given)) return given
  throw invalidHeader('Idempotency-Key', 'must be 1 to 255 visible ASCII characters, and given once')
}

const traceparentForm = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/** One that is not well-formed is passed over, as W3C Trace Context asks. */
export function traceparentOf(headers: IncomingHttpHeaders): string | undefined {
  const given = headers.traceparent
  return typeof given === 'string' && traceparentForm.test(given) ? given : undefined
}
