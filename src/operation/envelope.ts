import type { DecidedEvent } from './decision.ts'
import { eventId } from './eventId.ts'
import { type CatalogueEvent, parseEventData, parseMetadata } from './eventSchemas.ts'
import type { EventMetadata } from './events.ts'
import { schemaVersion } from './eventVersion.ts'
import type { FoldMeta } from './foldMeta.ts'
import { HashInput } from './hashInput.ts'
import type { OperationState } from './state.ts'
import { operationStream, streamSubject } from './streamName.ts'

/** An event ready for the log: its texts are stored byte for byte. */
export interface SealedEvent {
  readonly id: string
  readonly type: string
  readonly data: string
  readonly metadata: string
}

/** An event as the log gives it back. */
export interface StoredEvent extends SealedEvent {
  readonly stream: string
  readonly revision: bigint
}

/** `previousHash` of a stream's first event. */
export const noHash = '0'.repeat(64)

export interface EncodedAppend {
  readonly stream: string
  readonly events: readonly SealedEvent[]
  /** The state to keep once the log has confirmed: that of the fold of the stream with these events. */
  readonly state: OperationState
}

/**
 * Seals what was decided. `before` is the state the command was decided on (null: there was no operation), `causation`
 * the key of the command whose append this is.
 */
export function encode(
  before: OperationState | null,
  decision: { readonly events: readonly DecidedEvent[]; readonly state: OperationState },
  causation: string,
): EncodedAppend {
  const { state } = decision
  const stream = operationStream(state.id)
  let previousHash = before === null ? noHash : before.lastHash
  let revision = before === null ? 0n : before.revision + 1n
  const events: SealedEvent[] = []
  for (const decided of decision.events) {
    const sealed = seal({
      stream,
      revision,
      previousHash,
      type: decided.event.type,
      data: decided.dataText,
      dataBytes: decided.dataBytes,
      recorder: decided,
      keyIndex: decided.keyIndex,
      correlation: state.id,
      causation,
      recordedAt: state.updatedAt,
    })
    events.push(sealed.event)
    previousHash = sealed.hash
    revision += 1n
  }
  return { stream, events, state: events.length === 0 ? state : { ...state, lastHash: previousHash } }
}

export interface Unsealed {
  readonly stream: string
  readonly revision: bigint
  readonly previousHash: string
  readonly type: string
  /** JSON text. */
  readonly data: string
  readonly dataBytes: number
  readonly recorder: {
    readonly key: string
    readonly requestHash: string
    readonly actor: string
    readonly traceparent?: string
  }
  readonly keyIndex: number
  readonly correlation: string
  readonly causation: string
  readonly recordedAt: string
  /** Default: the newest. Projections' events keep an older one (eventVersion.ts says why). */
  readonly schemaVersion?: number
}

/** Puts one event into its envelope: metadata text first without `hash`, then the hash over all, then added to it. */
export function seal(unsealed: Unsealed): { readonly event: SealedEvent; readonly hash: string } {
  const { stream, revision, previousHash, type, data, dataBytes, recorder, causation } = unsealed
  const key = JSON.stringify(recorder.key)
  const traceparent = recorder.traceparent === undefined ? '' : `"traceparent":${JSON.stringify(recorder.traceparent)},`
  const metadata =
    `{"command":${key},"requestHash":"${recorder.requestHash}","actor":${JSON.stringify(recorder.actor)},` +
    `"$correlationId":"${unsealed.correlation}","$causationId":${causation === recorder.key ? key : JSON.stringify(causation)},` +
    `${traceparent}"schemaVersion":${unsealed.schemaVersion ?? schemaVersion},"recordedAt":"${unsealed.recordedAt}","previousHash":"${previousHash}"}`
  const digest = eventHash({ stream, revision, previousHash, type, data, dataBytes, metadata })
  const id = eventId(stream, recorder.key, unsealed.keyIndex)
  return { event: { id, type, data, metadata: withHash(metadata, digest) }, hash: digest }
}

export interface NextEvent {
  readonly type: string
  /** JSON. */
  readonly data: object
  readonly recorder: Unsealed['recorder']
  readonly correlation: string
  /** RFC 3339 UTC; the time of the event before it where that is later. */
  readonly now: string
  readonly schemaVersion?: number
}

/**
 * The next event of a stream that is no operation's: an append of its own, under a key of its own. `last` is the stream's
 * last event, null when there is none. Throws as `parseMetadata` for one that no node wrote.
 */
export function sealNext(stream: string, last: StoredEvent | null, next: NextEvent): SealedEvent {
  const before = last === null ? null : parseMetadata(last)
  const data = JSON.stringify(next.data)
  const { recorder, now } = next
  const { event } = seal({
    stream,
    revision: last === null ? 0n : last.revision + 1n,
    previousHash: before === null ? noHash : before.hash,
    type: next.type,
    data,
    dataBytes: Buffer.byteLength(data),
    recorder,
    keyIndex: 0,
    correlation: next.correlation,
    causation: recorder.key,
    recordedAt: before !== null && before.recordedAt > now ? before.recordedAt : now,
    ...(next.schemaVersion === undefined ? null : { schemaVersion: next.schemaVersion }),
  })
  return event
}

interface Hashed {
  readonly stream: string
  readonly revision: bigint
  readonly previousHash: string
  readonly type: string
  readonly data: string
  readonly dataBytes: number
  /** Without `hash`. */
  readonly metadata: string
}

/**
 * SHA-256, hex, over six fields one after the other, each as `<its UTF-8 bytes>:<itself>,` (a netstring): no two different
 * events give the same input. docs/events.md shows how to do it by hand.
 */
export function eventHash(hashed: Hashed): string {
  const revision = hashed.revision.toString()
  input.begin()
  addNetstring(hashed.stream)
  input.addShort(`${revision.length}:`).addShort(revision).addShort(',64:').addShort(hashed.previousHash).addShort(',')
  addNetstring(hashed.type)
  input.addShort(`${hashed.dataBytes}:`).add(hashed.data).addShort(',')
  addNetstring(hashed.metadata)
  return input.digest('hex')
}

const input = new HashInput()

function addNetstring(text: string): void {
  input
    .addShort(`${Buffer.byteLength(text)}:`)
    .addShort(text)
    .addShort(',')
}

const hashSuffix = /^,"hash":"([0-9a-f]{64})"\}$/
const hashSuffixLength = ',"hash":""}'.length + 64

export function withHash(metadata: string, digest: string): string {
  return `${metadata.slice(0, -1)},"hash":"${digest}"}`
}

/** The metadata text as it was hashed, and the hash it carries; null when it does not end in one. */
export function withoutHash(metadata: string): { readonly metadata: string; readonly hash: string } | null {
  // Only its end is looked at: this is asked of each event that is folded.
  const found = hashSuffix.exec(metadata.slice(-hashSuffixLength))?.[1]
  return found === undefined ? null : { metadata: `${metadata.slice(0, -hashSuffixLength)}}`, hash: found }
}

export type DecodedEvent = CatalogueEvent & {
  readonly metadata: EventMetadata
  /** What `evolve` takes. */
  readonly meta: FoldMeta
}

/**
 * A stored event with its data parsed, checked and brought to the newest schema version. Throws `NewerSchemaError` for one
 * that a newer node wrote and `MalformedEventError` for what no node writes. Does not check the hash: `verifyStream` does.
 */
export function decode(stored: StoredEvent): DecodedEvent {
  const metadata = parseMetadata(stored)
  const event = parseEventData(stored, metadata.schemaVersion)
  const { traceparent } = metadata
  const meta: FoldMeta = {
    operation: streamSubject(stored.stream)?.name ?? metadata.$correlationId,
    revision: stored.revision,
    recordedAt: metadata.recordedAt,
    command: metadata.command,
    requestHash: metadata.requestHash,
    actor: metadata.actor,
    ...(traceparent === undefined ? null : { traceparent }),
    hash: metadata.hash,
    schemaVersion: metadata.schemaVersion,
    dataBytes: Buffer.byteLength(stored.data),
  }
  return { ...event, metadata, meta }
}
