import { enterable } from './enterable.ts'
import type { HeldReason } from './events.ts'
import { canReach, passedBetween, relation } from './graph.ts'
import type { CompiledTrack, TrackCondition } from './pipeline.ts'
import { type OperationState, trackOf } from './state.ts'

/** What becomes of a report of a status the pipeline knows, by where its track stands now. */
export type Verdict =
  /** The track enters the status. */
  | { readonly kind: 'move' }
  /** The track is in the status: what counts is whether data or metadata change. */
  | { readonly kind: 'stay' }
  | { readonly kind: 'behind' }
  | { readonly kind: 'wait'; readonly reason: HeldReason }
  | { readonly kind: 'refuse'; readonly code: 'transition_not_allowed' | 'requirement_unmet' | 'unreachable' }

/**
 * The table "Deciding a report" from "on a track that is skipped" downwards. The rows above (unknown names, marks, reports
 * held already) are asked by the callers: of a held report again whenever it is looked at.
 *
 * @param observedMs when the report was observed, where the pipeline orders by that; else null
 */
export function judge(
  state: OperationState,
  track: CompiledTrack,
  status: string,
  observedMs: number | null = null,
): Verdict {
  const standing = trackOf(state, track.name)
  const { phase, status: current } = standing
  if (state.pipeline.any) return move
  const { outOfOrder } = state.pipeline.definition
  if (phase === 'skipped') return unreachable
  if (phase === 'waiting' || current === null) {
    if (!enterable(state.pipeline, state.tracks).has(track.name, status)) return unreachable
    return outOfOrder === 'reject' ? unmet : waitForRequirement
  }
  const { observedMs: latestMs } = standing
  if (observedMs !== null && latestMs !== null && observedMs < latestMs && isOnCycle(track, current, status)) {
    return behind
  }
  const where = relation(track.graph, current, status)
  if (where === 'current') return stay
  if (where === 'behind') return outOfOrder === 'reject' ? notAllowed : behind
  if (where === 'unreachable') return notAllowed
  if (!enterable(state.pipeline, state.tracks).has(track.name, status)) return unreachable
  if (where === 'ahead') {
    if (outOfOrder === 'reject') return notAllowed
    if (outOfOrder === 'hold') return waitForPredecessor
  }
  if (unmetConditions(state, track, current, status).length === 0) return move
  return outOfOrder === 'reject' ? unmet : waitForRequirement
}

const move: Verdict = { kind: 'move' }
const stay: Verdict = { kind: 'stay' }
const behind: Verdict = { kind: 'behind' }
const unmet: Verdict = { kind: 'refuse', code: 'requirement_unmet' }
const notAllowed: Verdict = { kind: 'refuse', code: 'transition_not_allowed' }
const unreachable: Verdict = { kind: 'refuse', code: 'unreachable' }
const waitForRequirement: Verdict = { kind: 'wait', reason: 'requirement_unmet' }
const waitForPredecessor: Verdict = { kind: 'wait', reason: 'predecessor_missing' }

/** Whether each can be reached from the other: then transitions do not tell which of two reports is the newer one. */
function isOnCycle({ graph }: CompiledTrack, one: string, other: string): boolean {
  return canReach(graph, one, other) && canReach(graph, other, one)
}

const noConditions: readonly TrackCondition[] = []

/**
 * The conditions that keep the track from entering the status now: of its join, and, for a jump, of the joins of all
 * statuses that lie on every way to it. Joins ask what was reached before this report: what a jump passes on its way does
 * not count for its own joins.
 */
export function unmetConditions(
  state: OperationState,
  track: CompiledTrack,
  current: string,
  status: string,
): readonly TrackCondition[] {
  if (track.requires.size === 0) return noConditions
  const jumps = relation(track.graph, current, status) === 'ahead'
  const entered = jumps ? [...passedBetween(track.graph, current, status), status] : [status]
  return entered.flatMap((one) =>
    (track.requires.get(one) ?? noConditions).filter((condition) => !isMet(state, condition)),
  )
}

function isMet(state: OperationState, condition: TrackCondition): boolean {
  const { reached, phase } = trackOf(state, condition.track)
  return (
    condition.in.some((awaited) => reached.includes(awaited)) || (condition.orSkipped === true && phase === 'skipped')
  )
}

/** The statuses a report may now bring the track to, for those who were refused. */
export function allowedStatuses(state: OperationState, track: CompiledTrack): string[] {
  if (state.pipeline.any) return []
  return track.graph.statuses.filter((status) => judge(state, track, status).kind === 'move')
}
