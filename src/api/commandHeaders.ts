import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { keyPattern } from '../operation/names.ts'
import { expectedRevision } from './entityTags.ts'
import { invalidHeader } from './problem.ts'

export interface CommandHeaders {
  readonly key: string
  /** True when the sender gave no key and this one was made. */
  readonly keyGenerated?: true
  readonly expectedRevision?: bigint
  readonly traceparent?: string
}

/** A command's envelope as its headers give it. Throws ProblemError. */
export function commandHeaders(headers: IncomingHttpHeaders): CommandHeaders {
  const ifMatch = headers['if-match']
  return commandEnvelope(
    givenKey(headers),
    ifMatch === undefined ? undefined : expectedRevision(ifMatch),
    traceparentOf(headers),
  )
}

/** The same from what a line of a bulk request says. Undefined members stay away. */
export function commandEnvelope(
  given: string | undefined,
  expectedRevision: bigint | undefined,
  traceparent: string | undefined,
): CommandHeaders {
  const envelope: { -readonly [Member in keyof CommandHeaders]: CommandHeaders[Member] } = {
    key: given ?? randomUUID(),
  }
  if (given === undefined) envelope.keyGenerated = true
  if (expectedRevision !== undefined) envelope.expectedRevision = expectedRevision
  if (traceparent !== undefined) envelope.traceparent = traceparent
  return envelope
}

function givenKey(headers: IncomingHttpHeaders): string | undefined {
  const given = headers['idempotency-key']
  if (given === undefined || (typeof given === 'string' && keyPattern.test(given))) return given
  throw invalidHeader('Idempotency-Key', 'must be 1 to 255 visible ASCII characters, and given once')
}

const traceparentForm = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/** One that is not well-formed is passed over, as W3C Trace Context asks. */
export function traceparentOf(headers: IncomingHttpHeaders): string | undefined {
  const given = headers.traceparent
  return typeof given === 'string' && traceparentForm.test(given) ? given : undefined
}
