import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { keyPattern } from '../operation/names.ts'
import { ProblemError } from './problem.ts'

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
  if (ifMatch === undefined) return traceparent === undefined ? { key } : { key, traceparent }
  const expectedRevision = revisionOf(ifMatch)
  return traceparent === undefined ? { key, expectedRevision } : { key, expectedRevision, traceparent }
}

function idempotencyKey(headers: IncomingHttpHeaders): string {
  const given = headers['idempotency-key']
  if (given === undefined) return randomUUID()
  if (typeof given === 'string' && keyPattern.test(given)) return given
  throw invalidHeader('Idempotency-Key', 'must be 1 to 255 visible ASCII characters, and given once')
}

const entityTag = /^"(0|[1-9]\d{0,15})"$/

function revisionOf(ifMatch: string): bigint {
  const [, digits] = entityTag.exec(ifMatch) ?? []
  if (digits === undefined) throw invalidHeader('If-Match', 'must be one revision in quotes, such as "3"')
  return BigInt(digits)
}

const traceparentForm = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/** One that is not well-formed is passed over, as W3C Trace Context asks. */
export function traceparentOf(headers: IncomingHttpHeaders): string | undefined {
  const given = headers.traceparent
  return typeof given === 'string' && traceparentForm.test(given) ? given : undefined
}

export function invalidHeader(name: string, detail: string): ProblemError {
  return new ProblemError({
    code: 'invalid',
    detail: `The header ${name} ${detail}.`,
    errors: [{ in: 'header', pointer: `/${name}`, detail }],
  })
}
