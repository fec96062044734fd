import type { OperationEvent, OperationOpened, ReportedFacts, ReportHeld, StatusChanged } from './events.ts'
import { passedBetween, relation } from './graph.ts'
import { type JsonObject, jsonBytes } from './json.ts'
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
  switch (event.type) {
    case 'StatusChanged':
      return statusChanged(state, event.data, meta)
    case 'DataMerged': {
      const track = withSequence(trackOf(state, event.data.track), event.data)
      const tracks = { ...state.tracks, [event.data.track]: track }
      return { ...merged(state, event.data, meta), tracks, held: withoutHeld(state, meta.command) }
    }
    case 'ReportHeld':
      return { ...stamped(state, meta), held: [...state.held, heldReport(state, event.data, meta)] }
    case 'ReportIgnored': {
      // A dropped report whose data would break a limit is on record, and must not break it by filling.
      const fills = state.pipeline.definition.lateData === 'fill' && event.data.reason !== 'too_large'
      const after = fills ? filled(state, event.data, meta) : stamped(state, meta)
      return { ...after, held: withoutHeld(state, meta.command) }
    }
    default:
      return event satisfies never
  }
}

function opened(event: OperationOpened, meta: FoldMeta, pipelineOf: PipelineOf): OperationState {
  const pipeline = pipelineOf(event.pipeline.name, event.pipeline.version)
  const tracks = openedTracks(pipeline, meta.recordedAt)
  return {
    id: meta.operation,
    pipeline,
    theme: event.theme,
    state: pipeline.any ? 'active' : operationPhase(tracks),
    tracks,
    held: [],
    data: event.data,
    metadata: event.metadata,
    dataBytesMax: bounded(event.data, meta.dataBytes, defaultLimits.dataBytesMax),
    metadataBytesMax: bounded(event.metadata, meta.dataBytes, defaultLimits.metadataBytesMax),
    revision: meta.revision,
    lastHash: meta.hash,
    openedAt: meta.recordedAt,
    updatedAt: meta.recordedAt,
    openedBy: meta.command,
  }
}

function statusChanged(state: OperationState, event: StatusChanged, meta: FoldMeta): OperationState {
  const { pipeline } = state
  const track = withSequence(trackOf(state, event.track), event)
  const moved = pipeline.any
    ? movedAnywhere(track, event, meta.recordedAt)
    : movedAlong(pipeline, track, event, meta.recordedAt)
  const tracks = settleTracks(pipeline, { ...state.tracks, [event.track]: moved }, meta.recordedAt)
  return {
    ...merged(state, event, meta),
    state: pipeline.any ? (moved.outcome ?? 'active') : operationPhase(tracks),
    tracks,
    held: withoutHeld(state, meta.command),
  }
}

function movedAlong(pipeline: CompiledPipeline, track: TrackState, event: StatusChanged, at: string): TrackState {
  const compiled = pipeline.tracks.get(event.track)
  if (compiled === undefined || event.from === null || !compiled.graph.indexes.has(event.to)) {
    throw new Error(`pipeline ${pipeline.name} has no status ${event.to} on track ${event.track} after ${event.from}`)
  }
  const jumps = relation(compiled.graph, event.from, event.to) === 'ahead'
  const newly = [...(jumps ? passedBetween(compiled.graph, event.from, event.to) : []), event.to]
  const outcome = compiled.final.get(event.to) ?? null
  return {
    ...track,
    phase: outcome === null ? 'active' : 'final',
    status: event.to,
    since: at,
    by: event.service,
    reached: [...track.reached, ...newly.filter((status) => !track.reached.includes(status))],
    outcome,
  }
}

/** In pipeline `any` a track that was once final stays so, and its outcome is the last one said. */
function movedAnywhere(track: TrackState, event: StatusChanged, at: string): TrackState {
  const outcome = event.final ?? track.outcome
  return {
    ...track,
    phase: outcome === null ? 'active' : 'final',
    status: event.to,
    since: at,
    by: event.service,
    outcome,
  }
}

function withSequence(track: TrackState, facts: ReportedFacts): TrackState {
  if (facts.sequence === undefined) return track
  // A computed member defines an own one, whatever the service calls itself.
  return { ...track, sequences: { ...track.sequences, [facts.service]: facts.sequence } }
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
function withoutHeld(state: OperationState, key: string): readonly HeldReport[] {
  if (state.held.length === 0 || !state.held.some((held) => held.key === key)) return state.held
  return state.held.filter((held) => held.key !== key)
}

function stamped(state: OperationState, meta: FoldMeta): OperationState {
  return { ...state, revision: meta.revision, lastHash: meta.hash, updatedAt: meta.recordedAt }
}

function merged(state: OperationState, facts: ReportedFacts, meta: FoldMeta): OperationState {
  return patched(state, facts, meta, mergePatch)
}

function filled(state: OperationState, facts: ReportedFacts, meta: FoldMeta): OperationState {
  return patched(state, facts, meta, fillAbsent)
}

function patched(
  state: OperationState,
  facts: ReportedFacts,
  meta: FoldMeta,
  patch: (target: JsonObject, patch: JsonObject) => JsonObject,
): OperationState {
  const data = facts.data === undefined ? state.data : patch(state.data, facts.data)
  const metadata = facts.metadata === undefined ? state.metadata : patch(state.metadata, facts.metadata)
  return {
    ...state,
    data,
    metadata,
    dataBytesMax:
      data === state.data
        ? state.dataBytesMax
        : bounded(data, state.dataBytesMax + meta.dataBytes, defaultLimits.dataBytesMax),
    metadataBytesMax:
      metadata === state.metadata
        ? state.metadataBytesMax
        : bounded(metadata, state.metadataBytesMax + meta.dataBytes, defaultLimits.metadataBytesMax),
    revision: meta.revision,
    lastHash: meta.hash,
    updatedAt: meta.recordedAt,
  }
}

/**
 * A document grows by at most the bytes of the event that changes it. Only where that sum passes the usual limit is the
 * document measured; the threshold is fixed, not configured, so that every node folds to the same state.
 */
function bounded(document: JsonObject, bytesMax: number, threshold: number): number {
  return bytesMax <= threshold ? bytesMax : jsonBytes(document)
}
