import type { FinalOutcome, ReportedFacts, StatusChanged } from './events.ts'
import type { FoldMeta } from './foldMeta.ts'
import { passedBetween, relation } from './graph.ts'
import { markOf, observedMs, raisedMarks } from './lateness.ts'
import type { CompiledPipeline } from './pipeline.ts'
import { type OperationState, type TrackState, trackOf } from './state.ts'

/**
 * A copy that is still being made: nobody else has seen it. Copied as one and then set member by member, as that is what
 * V8 does fastest: literals with several spreads took most of a command's time.
 */
export type Draft<T> = { -readonly [Member in keyof T]: T[Member] }

export function setTrack(next: Draft<OperationState>, name: string, track: TrackState): void {
  next.tracks = { ...next.tracks, [name]: track }
}

/** A copy of the report's track that has heard of it. */
export function heardTrack(next: OperationState, facts: ReportedFacts, meta: FoldMeta): Draft<TrackState> {
  const track: Draft<TrackState> = { ...trackOf(next, facts.track) }
  track.heardAt = meta.recordedAt
  return track
}

/** The same, with the report's mark. */
export function markedTrack(next: OperationState, facts: ReportedFacts, meta: FoldMeta): Draft<TrackState> {
  const track = heardTrack(next, facts, meta)
  const mark = markOf(next.pipeline, facts, meta.recordedAt)
  const raised = mark === null ? null : raisedMarks(track, facts.service, mark)
  return raised === null ? track : Object.assign(track, raised)
}

/** The same, where the report is of the status in which the track stands. */
export function observedTrack(
  next: OperationState,
  track: Draft<TrackState>,
  facts: ReportedFacts & { readonly status: string },
  meta: FoldMeta,
): Draft<TrackState> {
  const observed = facts.status === track.status ? observedMs(next.pipeline, facts, meta.recordedAt) : null
  if (observed !== null && (track.observedMs === null || observed > track.observedMs)) track.observedMs = observed
  return track
}

/** Adds what the track reaches with this change, and gives how it ends there; null when it does not. */
export function reach(pipeline: CompiledPipeline, track: Draft<TrackState>, event: StatusChanged): FinalOutcome | null {
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
