import type { DecidedEvent } from './decision.ts'
import type { OmittedDocument, OperationEvent, ReportedFacts } from './events.ts'
import { schemaVersion } from './eventVersion.ts'
import { evolve } from './evolve.ts'
import type { FoldMeta } from './foldMeta.ts'
import { type JsonObject, jsonBytes } from './json.ts'
import type { OperationLimits } from './limits.ts'
import { type DocumentPatches, type DocumentTexts, filled, merged } from './operationDocuments.ts'
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
function documentTexts({ type, data: { data, metadata } }: OperationEvent, text: string): DocumentTexts {
  // It fills only: its documents are never taken as they stand.
  if (type === 'OperationDescribed') return noTexts
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
    return { operation, revision, recordedAt, command, requestHash, actor, hash, schemaVersion, dataBytes, texts }
  return {
    operation,
    revision,
    recordedAt,
    command,
    requestHash,
    actor,
    traceparent,
    hash,
    schemaVersion,
    dataBytes,
    texts,
  }
}

/**
 * What becomes of the documents that come: merged, filled in where absent (`fill`: as the pipeline's `lateData` says), or kept
 * on record only.
 */
export type DocumentUse = 'merge' | 'fill' | 'describe' | 'keep'

/** The document that would be too large when an event of `eventBytes` with these patches is recorded; null when none would. */
export function tooLarge(
  draft: Draft,
  patches: DocumentPatches,
  eventBytes: number,
  use: DocumentUse,
): OmittedDocument | null {
  const { state, limits } = draft
  const { data, metadata } = patches
  if (use === 'keep' || (use === 'fill' && state.pipeline.definition.lateData !== 'fill')) return null
  const mayBe = (patch: JsonObject | undefined, bytesMax: number, limit: number): boolean =>
    patch !== undefined && bytesMax + eventBytes > limit
  const dataMayBe = mayBe(data, state.dataBytesMax, limits.dataBytesMax)
  const metadataMayBe = mayBe(metadata, state.metadataBytesMax, limits.metadataBytesMax)
  if (!dataMayBe && !metadataMayBe) return null
  const after = use === 'merge' ? merged(state, patches) : filled(state, patches)
  if (dataMayBe && after.data !== state.data && jsonBytes(after.data.value) > limits.dataBytesMax) return 'data'
  if (!metadataMayBe || after.metadata === state.metadata) return null
  return jsonBytes(after.metadata.value) > limits.metadataBytesMax ? 'metadata' : null
}

/** The event of a report that was held: without those of its documents that would break a limit by now, which it says. */
export function fitting(
  draft: Draft,
  facts: ReportedFacts,
  use: DocumentUse,
  eventOf: (facts: ReportedFacts, omitted: readonly OmittedDocument[] | undefined) => OperationEvent,
): PreparedEvent {
  const omitted: OmittedDocument[] = []
  let fitted = facts
  for (;;) {
    const event = prepared(eventOf(fitted, omitted.length === 0 ? undefined : omitted))
    const large = tooLarge(draft, fitted, event.dataBytes, use)
    if (large === null) return event
    omitted.push(large)
    const { [large]: _, ...rest } = fitted
    fitted = rest
  }
}
