import { eventHash, noHash, type StoredEvent, withoutHash } from './envelope.ts'
import { eventId } from './eventId.ts'
import { MalformedEventError, parseMetadata } from './eventSchemas.ts'

export type Verification =
  | { readonly kind: 'intact'; readonly end: VerifiedEnd | null }
  | { readonly kind: 'broken'; readonly revision: bigint; readonly reason: string }

/** Where a chain stands after an event. */
export interface ChainEnd {
  readonly revision: bigint
  readonly hash: string
}

/** The same, to be passed on to verify what follows. */
export interface VerifiedEnd extends ChainEnd {
  /** Events so far by key, from which ids follow; it is carried on and must not be changed. */
  readonly keys: ReadonlyMap<string, number>
}

/** A stream's hash chain does not hold at this event: it, or what came before it, is not what was appended. */
export class TamperedError extends Error {
  override readonly name = 'TamperedError'
  readonly stream: string
  readonly revision: bigint

  /** `fault` as `chainFault` says it. Nothing of the documents is in it. */
  constructor({ stream, revision }: Pick<StoredEvent, 'stream' | 'revision'>, fault: string) {
    super(`the hash chain of ${stream} is broken at event ${revision}: ${fault}`)
    this.stream = stream
    this.revision = revision
  }
}

/**
 * Checks a stretch of one stream against its hash chain: revisions without a gap, each hash over the stored bytes, each
 * `previousHash` its predecessor's, each id that of its stream, key and place under that key. `after` is where an earlier
 * call ended; null means the events begin at revision 0. Says the first place that does not hold.
 *
 * A chain shows that nothing within it was changed. That nothing was cut off its end only shows against a hash kept elsewhere.
 */
export function verifyStream(events: readonly StoredEvent[], after: VerifiedEnd | null = null): Verification {
  let end: ChainEnd | null = after
  const keys = new Map(after?.keys)
  for (const event of events) {
    const sealed = sealOf(event, end)
    if (typeof sealed === 'string') return { kind: 'broken', revision: event.revision, reason: sealed }
    const n = keys.get(sealed.command) ?? 0
    if (event.id !== eventId(event.stream, sealed.command, n)) {
      return { kind: 'broken', revision: event.revision, reason: foreignId }
    }
    keys.set(sealed.command, n + 1)
    end = { revision: event.revision, hash: sealed.hash }
  }
  return { kind: 'intact', end: end === null ? null : { ...end, keys } }
}

/**
 * The end of the chain with this event, which must follow on `after` (null: it must be the first). Throws TamperedError when
 * it does not, and NewerSchemaError for an event whose chain does not hold and that says it is of a newer version: that one
 * may hash otherwise.
 *
 * For who folds events one by one and keeps no count of each key's: of the id it is checked that some count gives it. What
 * is left, ids that changed places under one key, `verifyStream` finds.
 */
export function chainedOn(event: StoredEvent, after: ChainEnd | null): ChainEnd {
  const sealed = sealOf(event, after)
  if (typeof sealed !== 'string' && hasIdUnder(event, sealed.command)) {
    return { revision: event.revision, hash: sealed.hash }
  }
  refuseNewer(event)
  throw new TamperedError(event, typeof sealed === 'string' ? sealed : foreignId)
}

/**
 * Throws as `chainedOn` when the event's hash is not that of its own bytes and of the predecessor that it names itself: for
 * who reads one event alone.
 */
export function expectSealed(event: StoredEvent): void {
  const { revision } = event
  const previousHash = previousHashOf(event.metadata)
  // What names no predecessor is found to be no sealed event whatever comes before it.
  chainedOn(event, revision === 0n ? null : { revision: revision - 1n, hash: previousHash ?? noHash })
}

/** The hash that the event says its predecessor has; null when it says none. */
export function previousHashOf(metadata: string): string | null {
  return previousHashPattern.exec(metadata.slice(-previousHashSuffixLength))?.[1] ?? null
}

const previousHashPattern = /^"previousHash":"([0-9a-f]{64})","hash":"[0-9a-f]{64}"\}$/
const previousHashSuffixLength = '"previousHash":"","hash":""}'.length + 2 * 64

const foreignId = 'its id is not that of its stream and key'

interface Sealed {
  readonly command: string
  readonly hash: string
}

/** What the event was sealed with, or what is wrong with it. */
function sealOf(event: StoredEvent, after: ChainEnd | null): Sealed | string {
  const { stream, revision, type, data } = event
  const expected = after === null ? 0n : after.revision + 1n
  const previousHash = after === null ? noHash : after.hash
  if (revision !== expected) return `revision ${expected} is missing before it`
  const split = withoutHash(event.metadata)
  if (split === null) return 'its metadata does not end in a hash'
  const { metadata } = split
  const dataBytes = Buffer.byteLength(data)
  const digest = eventHash({ stream, revision, previousHash, type, data, dataBytes, metadata })
  if (digest !== split.hash) return 'its hash is not that of its bytes and its predecessor'
  const sealed = sealedMetadata(metadata, previousHash)
  if (sealed?.previousHash !== previousHash) return "its previousHash is not its predecessor's hash"
  return { command: sealed.command, hash: digest }
}

const keyPrefix = '{"command":"'

function sealedMetadata(
  text: string,
  expectedHash: string,
): { readonly command: string; readonly previousHash: string } | null {
  // As `seal` writes it: parsing all of it would cost a third of what hashing does.
  const command = text.slice(keyPrefix.length, text.indexOf('"', keyPrefix.length))
  if (text.startsWith(keyPrefix) && text.endsWith(`"previousHash":"${expectedHash}"}`) && !command.includes('\\')) {
    return { command, previousHash: expectedHash }
  }
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || !('command' in value) || !('previousHash' in value)) return null
    const { command, previousHash } = value
    return typeof command === 'string' && typeof previousHash === 'string' ? { command, previousHash } : null
  } catch {
    return null
  }
}

/** Events of one key in one stream: an opening, what became of its report, and that again when it was held. */
const eventsOfKeyMax = 32

function hasIdUnder({ stream, id }: StoredEvent, key: string): boolean {
  for (let n = 0; n < eventsOfKeyMax; n += 1) if (eventId(stream, key, n) === id) return true
  return false
}

/** Throws NewerSchemaError for an event that says it is of a newer version, whatever else is wrong with it. */
export function refuseNewer(event: StoredEvent): void {
  try {
    parseMetadata(event)
  } catch (error) {
    if (!(error instanceof MalformedEventError)) throw error
  }
}
