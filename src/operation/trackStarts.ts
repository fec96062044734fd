import { enterable } from './enterable.ts'
import { canReach } from './graph.ts'
import type { CompiledPipeline, CompiledTrack } from './pipeline.ts'
import type { OperationPhase, TrackState } from './state.ts'

export type Tracks = Readonly<Record<string, TrackState>>

/** The tracks of an operation just opened: those without a start condition stand at their initial status, none is settled yet. */
export function openedTracks(pipeline: CompiledPipeline, at: string): Tracks {
  return Object.fromEntries(
    [...pipeline.tracks.values()].map((track) => [
      track.name,
      track.startsWhen === null ? startedTrack(track, at) : waitingTrack,
    ]),
  )
}

/**
 * Starts every waiting track whose condition was reached, until nothing changes (one start may reach what another waits
 * for), and skips every one that can no longer start. Starts and skips are no events of their own: they follow from the
 * statuses reached, so every fold finds the same.
 */
export function settleTracks(pipeline: CompiledPipeline, before: Tracks, at: string): Tracks {
  if (!pipeline.laterTracks.some((track) => before[track.name]?.phase === 'waiting')) return before
  const tracks = startTracks(pipeline, before, at)
  const canEnter = enterable(pipeline, tracks)
  const skipped = pipeline.laterTracks.filter(
    ({ name, initial }) => tracks[name]?.phase === 'waiting' && initial !== null && !canEnter.has(name, initial),
  )
  if (skipped.length === 0) return tracks
  return { ...tracks, ...Object.fromEntries(skipped.map(({ name }) => [name, skippedTrack(tracks[name])])) }
}

function startTracks(pipeline: CompiledPipeline, before: Tracks, at: string): Tracks {
  let tracks = before
  for (let settled = false; !settled; ) {
    settled = true
    for (const track of pipeline.laterTracks) {
      const waiting = tracks[track.name]
      const awaited = tracks[track.startsWhen?.track ?? '']
      if (waiting?.phase !== 'waiting' || track.startsWhen === null) continue
      if (!track.startsWhen.in.some((status) => awaited?.reached.includes(status))) continue
      tracks = { ...tracks, [track.name]: startedTrack(track, at, waiting) }
      settled = false
    }
  }
  return tracks
}

/**
 * As `settleTracks`, by the rules of schema versions 1 and 2: a track is skipped only when the track it waits for is, or
 * stands where no transitions lead to what it waits for (joins are not asked).
 */
export function settleTracksAsThen(pipeline: CompiledPipeline, before: Tracks, at: string): Tracks {
  let tracks = before
  for (let settled = pipeline.laterTracks.length === 0; !settled; ) {
    settled = true
    for (const track of pipeline.laterTracks) {
      const waiting = tracks[track.name]
      if (waiting?.phase !== 'waiting') continue
      const after = startOrSkipAsThen(pipeline, track, waiting, tracks, at)
      if (after === null) continue
      tracks = { ...tracks, [track.name]: after }
      settled = false
    }
  }
  return tracks
}

function startOrSkipAsThen(
  pipeline: CompiledPipeline,
  track: CompiledTrack,
  waiting: TrackState,
  tracks: Tracks,
  at: string,
): TrackState | null {
  const condition = track.startsWhen
  if (condition === null) return null
  const awaited = tracks[condition.track]
  const graph = pipeline.tracks.get(condition.track)?.graph
  if (awaited === undefined || graph === undefined || awaited.phase === 'skipped') return skippedTrack(waiting)
  if (condition.in.some((status) => awaited.reached.includes(status))) return startedTrack(track, at, waiting)
  const { status: standing } = awaited
  if (standing === null || condition.in.some((status) => canReach(graph, standing, status))) return null
  return skippedTrack(waiting)
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

/** What was heard of the track while it waited stays. */
function startedTrack(track: CompiledTrack, at: string, waiting: TrackState = waitingTrack): TrackState {
  const { initial } = track
  const outcome = initial === null ? null : (track.final.get(initial) ?? null)
  return {
    ...waiting,
    phase: outcome === null ? 'active' : 'final',
    status: initial,
    since: initial === null ? null : at,
    reached: initial === null ? [] : [initial],
    outcome,
  }
}

const waitingTrack: TrackState = {
  phase: 'waiting',
  status: null,
  since: null,
  by: null,
  observedAt: null,
  heardAt: null,
  reached: [],
  marks: {},
  observedMarks: {},
  observedMs: null,
  outcome: null,
}

function skippedTrack(waiting: TrackState = waitingTrack): TrackState {
  return { ...waiting, phase: 'skipped' }
}
