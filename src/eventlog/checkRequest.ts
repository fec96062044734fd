import { type AppendRequest, appendBytesMax, type EventToAppend } from './eventLog.ts'

/** Stream names and event types: this many UTF-8 bytes at most, so that every store can index them. */
const nameBytesMax = 512

/** Revisions are JSON integers outside: beyond this they would be altered. */
const revisionMax = 2n ** 53n - 1n

const lowerCaseUuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/**
 * Valid JSON text cannot hold this control character, neither between its tokens nor, unescaped, in its strings; names cannot
 * hold any. So an adapter may join texts with it.
 */
export const textSeparator = '\x1e'

const controlCharacter = /\p{Cc}/u

/**
 * What every adapter refuses before anything is sent, so that the answer does not depend on the store. That data and
 * metadata are JSON is left to the store.
 */
export function checkRequest(request: AppendRequest): 'too_large' | 'invalid' | null {
  if (!isName(request.stream)) return 'invalid'
  const { expectedRevision } = request
  if (expectedRevision !== 'noStream' && (expectedRevision < 0n || expectedRevision > revisionMax)) return 'invalid'
  if (isTooLarge(request.events)) return 'too_large'
  return request.events.every(isStorable) ? null : 'invalid'
}

/** No UTF-16 unit takes more than three bytes: most appends are too short to be measured. */
const unitsSurelyFitting = Math.floor(appendBytesMax / 3)

function isTooLarge(events: readonly EventToAppend[]): boolean {
  let units = 0
  for (const { type, data, metadata } of events) units += type.length + data.length + metadata.length
  if (units <= unitsSurelyFitting) return false
  return bytesOf(events) > appendBytesMax
}

/** In UTF-8, of type, data and metadata. */
export function bytesOf(events: readonly EventToAppend[]): number {
  let bytes = 0
  for (const { type, data, metadata } of events) {
    bytes += Buffer.byteLength(type) + Buffer.byteLength(data) + Buffer.byteLength(metadata)
  }
  return bytes
}

/** For adapters whose store does not look. */
export function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function isStorable(event: EventToAppend): boolean {
  return (
    lowerCaseUuid.test(event.id) && isName(event.type) && isStorableText(event.data) && isStorableText(event.metadata)
  )
}

/** A lone surrogate has no UTF-8 form: encoding would replace it, and the bytes would not come back. */
function isStorableText(text: string): boolean {
  return text !== '' && !text.includes(textSeparator) && text.isWellFormed()
}

function isName(name: string): boolean {
  return name !== '' && Buffer.byteLength(name) <= nameBytesMax && !controlCharacter.test(name) && name.isWellFormed()
}
