import { Document } from './document.ts'
import type {
  FinalOutcome,
  OperationEvent,
  OperationOpened,
  ReportedFacts,
  ReportHeld,
  StatusChanged,
} from './events.ts'
import { passedBetween, relation } from './graph.ts'
import type { JsonObject } from './json.ts'
import { defaultLimits } from './limits.ts'
import { fillAbsent, mergePatch } from './mergePatch.ts'
import type { CompiledPipeline, PipelineOf } from './pipeline.ts'
import { type HeldReport, type OperationState, type TrackState, trackOf } from './state.ts'
import { openedTracks, operationPhase, settleTracks } from './trackStarts.ts'

/** What the fold needs of an event's envelope and of its place in the stream. */
export interface FoldMeta {
  /** The operation's id. */
  readonly operation: string
  readonly revision: bigint
  /** RFC 3339 UTC with milliseconds. */
  readonly recordedAt: string
  /** The key the event is recorded under. */
  readonly command: string
  readonly requestHash: string
  readonly actor: string
  readonly traceparent?: string
  readonly hash: string
  /** UTF-8 bytes of the event's data as stored. */
  readonly dataBytes: number
  /** JSON texts of the documents that the event carries, where they are at hand. */
  readonly texts?: DocumentTexts
}

export interface DocumentTexts {
  readonly data?: string
  readonly metadata?: string
}

/**
 * Folds one event. Pure; shares with `state` what did not change. Never throws on a stream the decider made; on anything
 * else (a status the pipeline does not know, an event before `OperationOpened`) it throws, and the caller sets the
 * stream aside.
 */
export function evolve(
  state: OperationState | null,
  event: OperationEvent,
  meta: FoldMeta,
  pipelineOf: PipelineOf,
): OperationState {
  if (event.type === 'OperationOpened') {
    if (state !== null) throw new Error(`operation ${state.id} is opened twice`)
    return opened(event.data, meta, pipelineOf)
  }
  if (state === null) throw new Error(`${event.type} comes before OperationOpened`)
  const next = stamped(state, meta)
  switch (event.type) {
    case 'StatusChanged':
      move(next, event.data, meta)
      patch(next, event.data, meta, mergePatch)
      break
    case 'DataMerged': {
      const track = trackOf(state, event.data.track)
      next.tracks = { ...state.tracks, [event.data.track]: withSequence({ ...track }, event.data) }
      patch(next, event.data, meta, mergePatch)
      break
    }
    case 'ReportHeld':
      next.held = [...state.held, heldReport(state, event.data, meta)]
      return next
    case 'ReportIgnored':
      // A dropped report whose data would break a limit is on record, and must not break it by filling.
      if (state.pipeline.definition.lateData === 'fill' && event.data.reason !== 'too_large') {
        patch(next, event.data, meta, fillAbsent)
      }
      break
    default:
      return event satisfies never
  }
  if (state.held.length > 0) next.held = withoutHeld(state.held, meta.command)
  return next
}

/**
 * A copy that is still being made: nobody else has seen it. Copied as one and then set member by member, as that is what
 * V8 does fastest: literals with several spreads took most of a command's time.
 */
type Draft<T> = { -readonly [Member in keyof T]: T[Member] }

function stamped(state: OperationState, meta: FoldMeta): Draft<OperationState> {
  const next: Draft<OperationState> = { ...state }
  next.revision = meta.revision
  next.lastHash = meta.hash
  next.updatedAt = meta.recordedAt
  return next
}

function opened(event: OperationOpened, meta: FoldMeta, pipelineOf: PipelineOf): OperationState {
  const pipeline = pipelineOf(event.pipeline.name, event.pipeline.version)
  const tracks = openedTracks(pipeline, meta.recordedAt)
  const data = documentOf(event.data, meta.texts?.data)
  const metadata = documentOf(event.metadata, meta.texts?.metadata)
  return {
    id: meta.operation,
    pipeline,
    theme: event.theme,
    state: pipeline.any ? 'active' : operationPhase(tracks),
    tracks,
    held: [],
    data,
    metadata,
    dataBytesMax: bounded(data, 0, meta.dataBytes, defaultLimits.dataBytesMax),
    metadataBytesMax: bounded(metadata, 0, meta.dataBytes, defaultLimits.metadataBytesMax),
    revision: meta.revision,
    lastHash: meta.hash,
    openedAt: meta.recordedAt,
    updatedAt: meta.recordedAt,
    openedBy: meta.command,
  }
}

function documentOf(value: JsonObject, text: string | undefined): Document {
  return text === undefined ? Document.of(value) : Document.ofText(text)
}

function move(next: Draft<OperationState>, event: StatusChanged, meta: FoldMeta): void {
  const { pipeline } = next
  const moved = withSequence({ ...trackOf(next, event.track) }, event)
  moved.status = event.to
  moved.since = meta.recordedAt
  moved.by = event.service
  moved.outcome = pipeline.any ? (event.final ?? moved.outcome) : reach(pipeline, moved, event)
  moved.phase = moved.outcome === null ? 'active' : 'final'
  next.tracks = settleTracks(pipeline, { ...next.tracks, [event.track]: moved }, meta.recordedAt)
  // In pipeline `any` an operation that was once said to have ended stays so, as the last `final` said.
  next.state = pipeline.any ? (moved.outcome ?? 'active') : operationPhase(next.tracks)
}

/** Adds what the track reaches with this change, and gives how it ends there; null when it does not. */
function reach(pipeline: CompiledPipeline, track: Draft<TrackState>, event: StatusChanged): FinalOutcome | null {
  const compiled = pipeline.tracks.get(event.track)
  if (compiled === undefined || event.from === null || !compiled.graph.indexes.has(event.to)) {
    throw new Error(`pipeline ${pipeline.name} has no status ${event.to} on track ${event.track} after ${event.from}`)
  }
  const jumps = relation(compiled.graph, event.from, event.to) === 'ahead'
  const passed = jumps ? passedBetween(compiled.graph, event.from, event.to) : []
  const newly = [...passed, event.to].filter((status) => !track.reached.includes(status))
  if (newly.length > 0) track.reached = [...track.reached, ...newly]
  return compiled.final.get(event.to) ?? null
}

function withSequence(track: Draft<TrackState>, facts: ReportedFacts): Draft<TrackState> {
  // A computed member defines an own one, whatever the service calls itself.
  if (facts.sequence !== undefined) track.sequences = { ...track.sequences, [facts.service]: facts.sequence }
  return track
}

function heldReport(state: OperationState, event: ReportHeld, meta: FoldMeta): HeldReport {
  const { status, reason, ...facts } = event
  return {
    key: meta.command,
    requestHash: meta.requestHash,
    actor: meta.actor,
    ...(meta.traceparent === undefined ? null : { traceparent: meta.traceparent }),
    keyEvents: state.openedBy === meta.command ? 2 : 1,
    bytes: meta.dataBytes,
    status,
    reason,
    heldAt: meta.recordedAt,
    facts,
  }
}

/** Keys are unique within an operation: an event under a held report's key is its release or its drop. */
function withoutHeld(held: readonly HeldReport[], key: string): readonly HeldReport[] {
  return held.some((report) => report.key === key) ? held.filter((report) => report.key !== key) : held
}

function patch(
  next: Draft<OperationState>,
  facts: ReportedFacts,
  meta: FoldMeta,
  apply: (target: JsonObject, patch: JsonObject) => JsonObject,
): void {
  const { data, metadata } = next
  if (facts.data !== undefined) next.data = data.patched(facts.data, apply, meta.texts?.data)
  if (facts.metadata !== undefined) next.metadata = metadata.patched(facts.metadata, apply, meta.texts?.metadata)
  const { dataBytesMax, metadataBytesMax } = defaultLimits
  if (next.data !== data) next.dataBytesMax = bounded(next.data, next.dataBytesMax, meta.dataBytes, dataBytesMax)
  if (next.metadata !== metadata) {
    next.metadataBytesMax = bounded(next.metadata, next.metadataBytesMax, meta.dataBytes, metadataBytesMax)
  }
}

/**
 * A document grows by at most the bytes of the event that changes it. It is measured only when that sum passes a multiple
 * of the usual limit, so that a large one is not measured with every report; the multiples are of a fixed number, not of
 * the configured limit, so that every node folds to the same state.
 */
function bounded(document: Document, bytesMax: number, eventBytes: number, step: number): number {
  const sum = bytesMax + eventBytes
  return sum > step * Math.max(1, Math.ceil(bytesMax / step)) ? document.bytes : sum
}
