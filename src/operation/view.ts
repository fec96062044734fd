import { enterable } from './enterable.ts'
import type { HeldReason } from './events.ts'
import type { JsonObject } from './json.ts'
import { judge, unmetConditions } from './judge.ts'
import { observedMs } from './lateness.ts'
import type { CompiledTrack, TrackCondition } from './pipeline.ts'
import type { HeldReport, OperationState, TrackState } from './state.ts'

/**
 * The answer of `GET /v1/operations/{id}` as JSON text, without `position`, which is not the state's to know. It has no
 * spaces and ends in `}`, so that a position can be put in its last place.
 */
export function operationBody(state: OperationState): string {
  const { pipeline } = state
  const tracks: Record<string, TrackView> = {}
  for (const name of Object.keys(state.tracks)) {
    const track = state.tracks[name]
    if (track !== undefined) tracks[name] = trackView(state, name, track)
  }
  const before = JSON.stringify({
    id: state.id,
    pipeline: { name: pipeline.name, version: pipeline.version },
    theme: state.theme,
    state: state.state,
    blocked: isBlocked(state),
    tracks,
  })
  const after = JSON.stringify({
    // JSON has no bigint; a stream never comes near 2^53 events.
    revision: Number(state.revision),
    openedAt: state.openedAt,
    updatedAt: state.updatedAt,
  })
  return `${before.slice(0, -1)},"data":${state.data.text},"metadata":${state.metadata.text},${after.slice(1)}`
}

/** Active, and yet no status of any track can be entered any more: no report can ever end it. */
export function isBlocked(state: OperationState): boolean {
  return state.state === 'active' && !state.pipeline.any && !enterable(state.pipeline, state.tracks).any
}

interface TrackView {
  readonly phase: TrackState['phase']
  readonly status: string | null
  readonly since: string | null
  readonly by: string | null
  readonly observedAt: string | null
  readonly heardAt: string | null
  readonly next: readonly NextView[]
  readonly held: readonly HeldReportView[]
}

/** One status that a transition leads to from where the track stands. */
export interface NextView {
  readonly status: string
  /** Whether a report would bring the track there now. */
  readonly ready: boolean
  /** Only ever true: it can no longer be entered. */
  readonly unreachable?: true
  readonly waitingFor?: readonly WaitingFor[]
}

/** A condition that is not met yet. */
export interface WaitingFor {
  readonly track: string
  readonly in: readonly string[]
  /** Where that track stands; null when it has not started. */
  readonly is: string | null
}

const none: readonly never[] = []

function trackView(state: OperationState, name: string, track: TrackState): TrackView {
  const { phase, status, since, by, observedAt, heardAt } = track
  const compiled = state.pipeline.tracks.get(name)
  const held = state.held.length === 0 ? none : state.held.filter((report) => report.facts.track === name)
  return {
    phase,
    status,
    since,
    by,
    observedAt,
    heardAt,
    next: compiled === undefined || status === null ? none : nextViews(state, compiled, status),
    held: compiled === undefined ? none : held.map((report) => heldView(state, compiled, report)),
  }
}

function nextViews(state: OperationState, track: CompiledTrack, current: string): readonly NextView[] {
  const { graph } = track
  const from = graph.indexes.get(current)
  if (from === undefined) return none
  const canEnter = enterable(state.pipeline, state.tracks)
  return (graph.next[from] ?? none).map((index) => {
    const status = graph.statuses[index] ?? ''
    const waitingFor = waiting(state, unmetConditions(state, track, current, status))
    if (!canEnter.has(track.name, status)) return { status, ready: false, unreachable: true, ...waitingFor }
    return { status, ready: waitingFor === null, ...waitingFor }
  })
}

function waiting(
  { tracks }: OperationState,
  conditions: readonly TrackCondition[],
): { readonly waitingFor: readonly WaitingFor[] } | null {
  if (conditions.length === 0) return null
  return {
    waitingFor: conditions.map(({ track, in: awaited }) => ({ track, in: awaited, is: tracks[track]?.status ?? null })),
  }
}

/** A held report as the API shows it. */
export interface HeldReportView {
  /** Its idempotency key. */
  readonly command: string
  readonly service: string
  readonly status: string
  /** Why it waits now; it may have been another reason when it came. */
  readonly reason: HeldReason
  readonly waitingFor?: readonly WaitingFor[]
  readonly sequence?: number
  readonly observedAt?: string
  readonly data?: JsonObject
  readonly metadata?: JsonObject
  readonly heldAt: string
}

/** Why a held report waits now: it may have been for another reason when it came. */
export function heldReasonNow(state: OperationState, held: HeldReport): HeldReason {
  const track = state.pipeline.tracks.get(held.facts.track)
  if (track === undefined) return held.reason
  const verdict = judge(state, track, held.status, observedMs(state.pipeline, held.facts, state.updatedAt))
  return verdict.kind === 'wait' ? verdict.reason : held.reason
}

function heldView(state: OperationState, track: CompiledTrack, held: HeldReport): HeldReportView {
  const { track: _, service, ...said } = held.facts
  const reason = heldReasonNow(state, held)
  const waitingFor = reason === 'requirement_unmet' ? waiting(state, unmetOf(state, track, held.status)) : null
  return { command: held.key, service, status: held.status, reason, ...waitingFor, ...said, heldAt: held.heldAt }
}

/** A report of a track that has not started waits for its start. */
function unmetOf(state: OperationState, track: CompiledTrack, status: string): readonly TrackCondition[] {
  const current = state.tracks[track.name]?.status ?? null
  if (current === null) return track.startsWhen === null ? none : [track.startsWhen]
  return unmetConditions(state, track, current, status)
}
