import { toUSVString } from 'node:util'
import { type AppendRequest, appendBytesMax, type EventToAppend } from './eventLog.ts'

/** Stream names and event types: this many UTF-8 bytes at most, so that every store can index them. */
const nameBytesMax = 512

/** Revisions are JSON integers outside: beyond this they would be altered. */
const revisionMax = 2n ** 53n - 1n

const lowerCaseUuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/**
 * Control characters that valid JSON text cannot hold, neither between its tokens nor, unescaped, in its strings. Since
 * stored text is free of them, an adapter may join texts with one of them.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const neverInJson = /[\0-\x08\x0b\x0c\x0e-\x1f]/
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const neverInNames = /[\0-\x1f\x7f]/

/**
 * What every adapter refuses before anything is sent, so that the answer does not depend on the store. That data and
 * metadata are JSON is left to the store.
 */
export function checkRequest(request: AppendRequest): 'too_large' | 'invalid' | null {
  if (!isName(request.stream)) return 'invalid'
  const { expectedRevision } = request
  if (expectedRevision !== 'noStream' && (expectedRevision < 0n || expectedRevision > revisionMax)) return 'invalid'
  let bytes = 0
  for (const event of request.events) {
    bytes += Buffer.byteLength(event.type) + Buffer.byteLength(event.data) + Buffer.byteLength(event.metadata)
    if (bytes > appendBytesMax) return 'too_large'
  }
  return request.events.every(isStorable) ? null : 'invalid'
}

function isStorable(event: EventToAppend): boolean {
  return (
    lowerCaseUuid.test(event.id) && isName(event.type) && isStorableText(event.data) && isStorableText(event.metadata)
  )
}

/** A lone surrogate has no UTF-8 form: encoding would replace it, and the bytes would not come back. */
function isStorableText(text: string): boolean {
  return text !== '' && !neverInJson.test(text) && toUSVString(text) === text
}

function isName(name: string): boolean {
  return (
    name !== '' && Buffer.byteLength(name) <= nameBytesMax && !neverInNames.test(name) && toUSVString(name) === name
  )
}
