import { nothingDeleted } from './deletedPaths.ts'
import { Document } from './document.ts'
import type {
  DataMerged,
  OperationDescribed,
  OperationEvent,
  OperationOpened,
  ReportHeld,
  ReportIgnored,
  StatusChanged,
} from './events.ts'
import { type Draft, heardTrack, markedTrack, observedTrack, reach, setTrack } from './evolveTrack.ts'
import { type FoldMeta, isOfMarkRules } from './foldMeta.ts'
import type { JsonObject } from './json.ts'
import { equalHeld, lateness, markOf, observedMs } from './lateness.ts'
import { defaultLimits } from './limits.ts'
import { filled, filledAsThen, merged, type OperationDocuments } from './operationDocuments.ts'
import type { CompiledPipeline, PipelineOf } from './pipeline.ts'
import { type HeldReport, type OperationState, trackOf } from './state.ts'
import { openedTracks, operationPhase, settleTracks, settleTracksAsThen } from './trackStarts.ts'

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
    case 'OperationDescribed':
      describe(next, event.data, meta)
      return next
    case 'StatusChanged':
      move(next, event.data, meta)
      break
    case 'DataMerged':
      mergeData(next, event.data, meta)
      break
    case 'ReportHeld':
      setTrack(next, event.data.track, heardTrack(next, event.data, meta))
      next.held = [...state.held, heldReport(state, event.data, meta)]
      return next
    case 'ReportIgnored':
      ignore(next, event.data, meta, state)
      break
    default:
      return event satisfies never
  }
  if (state.held.length > 0) next.held = withoutHeld(state.held, meta.command)
  return next
}

function stamped(state: OperationState, meta: FoldMeta): Draft<OperationState> {
  const next: Draft<OperationState> = { ...state }
  next.revision = meta.revision
  next.changedRevision = meta.revision
  next.lastHash = meta.hash
  next.updatedAt = meta.recordedAt
  // Whoever opened it by a report has described nothing yet.
  if (meta.revision === 1n && meta.command === state.openedBy && isOfMarkRules(meta)) next.undescribed = true
  return next
}

function opened(event: OperationOpened, meta: FoldMeta, pipelineOf: PipelineOf): OperationState {
  const pipeline = pipelineOf(event.pipeline.name, event.pipeline.version)
  const tracks = settled(pipeline, openedTracks(pipeline, meta.recordedAt), meta)
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
    deleted: nothingDeleted,
    dataBytesMax: bounded(data, 0, meta.dataBytes, defaultLimits.dataBytesMax),
    metadataBytesMax: bounded(metadata, 0, meta.dataBytes, defaultLimits.metadataBytesMax),
    revision: meta.revision,
    changedRevision: meta.revision,
    lastHash: meta.hash,
    openedAt: meta.recordedAt,
    updatedAt: meta.recordedAt,
    openedBy: meta.command,
    // Before marks a report of the initial status left the opening alone, and an opening does not say who made it.
    undescribed: !isOfMarkRules(meta) && event.theme === null && isEmpty(event.data) && isEmpty(event.metadata),
  }
}

function isEmpty(document: JsonObject): boolean {
  return Object.keys(document).length === 0
}

function settled(
  pipeline: CompiledPipeline,
  tracks: OperationState['tracks'],
  meta: FoldMeta,
): OperationState['tracks'] {
  return isOfMarkRules(meta)
    ? settleTracks(pipeline, tracks, meta.recordedAt)
    : settleTracksAsThen(pipeline, tracks, meta.recordedAt)
}

function documentOf(value: JsonObject, text: string | undefined): Document {
  return text === undefined ? Document.of(value) : Document.ofText(text)
}

function move(next: Draft<OperationState>, event: StatusChanged, meta: FoldMeta): void {
  const { pipeline } = next
  const moved = markedTrack(next, event, meta)
  moved.status = event.to
  moved.since = meta.recordedAt
  moved.by = event.service
  moved.observedAt = event.observedAt ?? null
  moved.observedMs = observedMs(pipeline, event, meta.recordedAt)
  moved.outcome = pipeline.any ? (event.final ?? moved.outcome) : reach(pipeline, moved, event)
  moved.phase = moved.outcome === null ? 'active' : 'final'
  setTrack(next, event.track, moved)
  next.tracks = settled(pipeline, next.tracks, meta)
  // In pipeline `any` an operation that was once said to have ended stays so, as the last `final` said.
  next.state = pipeline.any ? (moved.outcome ?? 'active') : operationPhase(next.tracks)
  setDocuments(next, merged(next, event, meta.texts), meta)
}

function mergeData(next: Draft<OperationState>, event: DataMerged, meta: FoldMeta): void {
  const { pipeline } = next
  const track = observedTrack(next, markedTrack(next, event, meta), event, meta)
  if (isOfMarkRules(meta)) {
    // The report that opened the operation set its initial status.
    if (meta.revision === 1n && meta.command === next.openedBy) {
      track.by = event.service
      track.observedAt = event.observedAt ?? null
    }
    setTrack(next, event.track, track)
    const { tracks } = next
    next.tracks = settled(pipeline, tracks, meta)
    if (next.tracks !== tracks) next.state = operationPhase(next.tracks)
  } else setTrack(next, event.track, track)
  setDocuments(next, merged(next, event, meta.texts), meta)
}

/** What it changes is never seen by whoever read before, unless it fills something in. */
function ignore(
  next: Draft<OperationState>,
  event: ReportIgnored,
  meta: FoldMeta,
  { changedRevision }: OperationState,
): void {
  const isOwnDrop = next.held.some((report) => report.key === meta.command)
  const repeatsHeld =
    !isOwnDrop &&
    event.reason === 'duplicate' &&
    equalHeld(next, event.status, event) !== undefined &&
    !repeatsMark(next, event, meta)
  const isMarked = !repeatsHeld && event.reason !== 'unreachable'
  const track = isMarked
    ? observedTrack(next, markedTrack(next, event, meta), event, meta)
    : heardTrack(next, event, meta)
  setTrack(next, event.track, track)
  const { data, metadata } = next
  if (next.pipeline.definition.lateData === 'fill') {
    if (!isOfMarkRules(meta)) {
      // A report whose data would break a limit was dropped for that, and must not break it by filling.
      if (event.reason !== 'too_large') setDocuments(next, filledAsThen(next, event, meta.texts), meta)
    } else if (isMarked) setDocuments(next, filled(next, event, meta.texts), meta)
  }
  if (next.data === data && next.metadata === metadata) next.changedRevision = changedRevision
}

/** A duplicate by its sequence is told before one of a held report, and fills. */
function repeatsMark(next: OperationState, event: ReportIgnored, meta: FoldMeta): boolean {
  const mark = markOf(next.pipeline, event, meta.recordedAt)
  return lateness(trackOf(next, event.track), event.service, mark) !== null
}

function describe(next: Draft<OperationState>, event: OperationDescribed, meta: FoldMeta): void {
  if (event.theme !== undefined) next.theme = event.theme
  next.undescribed = false
  setDocuments(next, filled(next, event, meta.texts), meta)
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

function setDocuments(next: Draft<OperationState>, after: OperationDocuments, meta: FoldMeta): void {
  if (after === next) return
  const { data, metadata } = next
  next.data = after.data
  next.metadata = after.metadata
  next.deleted = after.deleted
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
