import type { DecidedEvent } from './decision.ts'
import type { Document } from './document.ts'
import type { OperationEvent, ReportedFacts } from './events.ts'
import { type DocumentTexts, evolve, type FoldMeta } from './evolve.ts'
import { type JsonObject, jsonBytes } from './json.ts'
import type { OperationLimits } from './limits.ts'
import type { CompiledPipeline } from './pipeline.ts'
import type { OperationState } from './state.ts'

/** Whose event it is: a command, or a held report that carries what it came with. */
export interface Recorder {
  readonly key: string
  readonly requestHash: string
  readonly actor: string
  readonly traceparent?: string
}

/** The events of one append as they are decided, and the state they lead to. Lives for one call of `decide`. */
export interface Draft {
  readonly events: DecidedEvent[]
  readonly recordedAt: string
  readonly limits: OperationLimits
  state: OperationState
}

export interface PreparedEvent {
  readonly event: OperationEvent
  readonly dataText: string
  readonly dataBytes: number
  readonly texts: DocumentTexts
}

/** The event's data as text, made once: its size decides, its bytes are what the envelope seals, and what the state keeps. */
export function prepared(event: OperationEvent): PreparedEvent {
  const dataText = JSON.stringify(event.data)
  return { event, dataText, dataBytes: Buffer.byteLength(dataText), texts: documentTexts(event, dataText) }
}

const noTexts: DocumentTexts = {}
const dataMember = ',"data":'
const metadataMember = ',"metadata":'

/** The texts of the event's documents, which are its last members: data, then metadata. */
function documentTexts({ data: { data, metadata } }: OperationEvent, text: string): DocumentTexts {
  // A quote within a string is escaped, and what comes before holds no member of this name: the first is the one.
  const after = (member: string): number => text.indexOf(member) + member.length
  const end = text.length - 1
  if (data === undefined) {
    return metadata === undefined ? noTexts : { metadata: cut(text, after(metadataMember), end) }
  }
  if (metadata === undefined) return { data: cut(text, after(dataMember), end) }
  const metadataText = JSON.stringify(metadata)
  const dataEnd = end - metadataText.length - metadataMember.length
  return { data: cut(text, after(dataMember), dataEnd), metadata: metadataText }
}

/** V8 keeps all of a text for a part of it: a small part is copied. */
function cut(text: string, from: number, to: number): string {
  const part = text.slice(from, to)
  return part.length * 2 < text.length ? Buffer.from(part).toString() : part
}

/** A draft that begins with the event that opens the operation. */
export function openedDraft(
  operation: string,
  pipeline: CompiledPipeline,
  recordedAt: string,
  limits: OperationLimits,
  recorder: Recorder,
  opening: PreparedEvent,
): Draft {
  const { event } = opening
  const state = evolve(null, event, foldMeta(recorder, operation, 0n, recordedAt, '', opening), () => pipeline)
  return { events: [decidedEvent(opening, recorder, 0)], recordedAt, limits, state }
}

export function record(draft: Draft, next: PreparedEvent, recorder: Recorder, keyIndex: number): void {
  const { state, recordedAt } = draft
  const meta = foldMeta(recorder, state.id, state.revision + 1n, recordedAt, state.lastHash, next)
  draft.events.push(decidedEvent(next, recorder, keyIndex))
  draft.state = evolve(state, next.event, meta, () => state.pipeline)
}

// Both write their members out: spreading them together took longer than all the rest of a decision.

function decidedEvent(
  { event, dataText, dataBytes }: PreparedEvent,
  recorder: Recorder,
  keyIndex: number,
): DecidedEvent {
  const { key, requestHash, actor, traceparent } = recorder
  if (traceparent === undefined) return { event, dataText, dataBytes, key, requestHash, actor, keyIndex }
  return { event, dataText, dataBytes, key, requestHash, actor, traceparent, keyIndex }
}

function foldMeta(
  recorder: Recorder,
  operation: string,
  revision: bigint,
  recordedAt: string,
  hash: string,
  { dataBytes, texts }: PreparedEvent,
): FoldMeta {
  const { key: command, requestHash, actor, traceparent } = recorder
  if (traceparent === undefined)
    return { operation, revision, recordedAt, command, requestHash, actor, hash, dataBytes, texts }
  return { operation, revision, recordedAt, command, requestHash, actor, traceparent, hash, dataBytes, texts }
}

/** Whether data and metadata stay within the limits when `facts`, carried by an event of `eventBytes`, are patched in. */
export function fits(
  draft: Draft,
  facts: ReportedFacts,
  eventBytes: number,
  patch: (target: JsonObject, patch: JsonObject) => JsonObject,
): boolean {
  const { state, limits } = draft
  const within = (document: Document, change: JsonObject | undefined, bytesMax: number, limit: number): boolean =>
    change === undefined || bytesMax + eventBytes <= limit || jsonBytes(patch(document.value, change)) <= limit
  return (
    within(state.data, facts.data, state.dataBytesMax, limits.dataBytesMax) &&
    within(state.metadata, facts.metadata, state.metadataBytesMax, limits.metadataBytesMax)
  )
}
