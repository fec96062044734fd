import { canReach } from './graph.ts'
import type { CompiledPipeline, CompiledTrack } from './pipeline.ts'
import type { OperationPhase, TrackState } from './state.ts'

export type Tracks = Readonly<Record<string, TrackState>>

/** The tracks of an operation just opened: those without a start condition stand at their initial status. */
export function openedTracks(pipeline: CompiledPipeline, at: string): Tracks {
  const tracks = Object.fromEntries(
    [...pipeline.tracks.values()].map((track) => [
      track.name,
      track.startsWhen === null ? startedTrack(track, at) : waitingTrack,
    ]),
  )
  return settleTracks(pipeline, tracks, at)
}

/**
 * Starts every waiting track whose condition was reached, and skips every one that can no longer start, until nothing
 * changes: one start may reach what another waits for. Starts and skips are no events of their own: they follow from
 * the statuses reached, so every fold finds the same.
 *
 * A track can no longer start when the track it waits for is skipped, or stands where none of the statuses it waits for
 * was reached or can be reached by transitions (joins are not asked: a join not met yet may be met later).
 */
export function settleTracks(pipeline: CompiledPipeline, before: Tracks, at: string): Tracks {
  let tracks = before
  for (let settled = pipeline.laterTracks.length === 0; !settled; ) {
    settled = true
    for (const track of pipeline.laterTracks) {
      if (tracks[track.name]?.phase !== 'waiting') continue
      const after = startOrSkip(pipeline, track, tracks, at)
      if (after === null) continue
      tracks = { ...tracks, [track.name]: after }
      settled = false
    }
  }
  return tracks
}

function startOrSkip(pipeline: CompiledPipeline, track: CompiledTrack, tracks: Tracks, at: string): TrackState | null {
  const condition = track.startsWhen
  if (condition === null) return null
  const awaited = tracks[condition.track]
  const graph = pipeline.tracks.get(condition.track)?.graph
  if (awaited === undefined || graph === undefined || awaited.phase === 'skipped') return skippedTrack
  if (condition.in.some((status) => awaited.reached.includes(status))) return startedTrack(track, at)
  const { status: standing } = awaited
  if (standing === null || condition.in.some((status) => canReach(graph, standing, status))) return null
  return skippedTrack
}

/** Active while a track may still move or start; else failed when any track ended so. */
export function operationPhase(tracks: Tracks): OperationPhase {
  let phase: OperationPhase = 'succeeded'
  for (const name of Object.keys(tracks)) {
    const track = tracks[name]
    if (track?.phase === 'active' || track?.phase === 'waiting') return 'active'
    if (track?.outcome === 'failed') phase = 'failed'
  }
  return phase
}

function startedTrack(track: CompiledTrack, at: string): TrackState {
  const { initial } = track
  const outcome = initial === null ? null : (track.final.get(initial) ?? null)
  return {
    phase: outcome === null ? 'active' : 'final',
    status: initial,
    since: initial === null ? null : at,
    by: null,
    reached: initial === null ? [] : [initial],
    sequences: {},
    outcome,
  }
}

const waitingTrack: TrackState = {
  phase: 'waiting',
  status: null,
  since: null,
  by: null,
  reached: [],
  sequences: {},
  outcome: null,
}

const skippedTrack: TrackState = { ...waitingTrack, phase: 'skipped' }
