import type { HeldReason } from './events.ts'
import { passedBetween, relation } from './graph.ts'
import type { CompiledTrack } from './pipeline.ts'
import { type OperationState, trackOf } from './state.ts'

/** What becomes of a report of a status the pipeline knows, by where its track stands now. */
export type Verdict =
  /** The track enters the status. */
  | { readonly kind: 'move' }
  /** The track is in the status: what counts is whether data or metadata change. */
  | { readonly kind: 'stay' }
  | { readonly kind: 'behind' }
  | { readonly kind: 'wait'; readonly reason: HeldReason }
  | { readonly kind: 'refuse'; readonly code: 'transition_not_allowed' | 'requirement_unmet' }

/**
 * The table "Deciding a report" from "on a track that is skipped" downwards. The rows above (unknown names, sequence) are
 * asked on arrival only; these again whenever a held report is looked at.
 */
export function judge(state: OperationState, track: CompiledTrack, status: string): Verdict {
  const { phase, status: current } = trackOf(state, track.name)
  if (state.pipeline.any) return move
  const { outOfOrder } = state.pipeline.definition
  if (phase === 'skipped') return unmet
  if (phase === 'waiting' || current === null) return outOfOrder === 'reject' ? unmet : waitForRequirement
  switch (relation(track.graph, current, status)) {
    case 'current':
      return stay
    case 'behind':
      return outOfOrder === 'reject' ? notAllowed : behind
    case 'unreachable':
      return notAllowed
    case 'ahead':
      if (outOfOrder === 'reject') return notAllowed
      if (outOfOrder === 'hold') return waitForPredecessor
      if (track.requires.size === 0) return move
      return joinsMet(state, track, [...passedBetween(track.graph, current, status), status])
        ? move
        : waitForRequirement
    case 'next':
      if (joinsMet(state, track, [status])) return move
      return outOfOrder === 'reject' ? unmet : waitForRequirement
  }
}

const move: Verdict = { kind: 'move' }
const stay: Verdict = { kind: 'stay' }
const behind: Verdict = { kind: 'behind' }
const unmet: Verdict = { kind: 'refuse', code: 'requirement_unmet' }
const notAllowed: Verdict = { kind: 'refuse', code: 'transition_not_allowed' }
const waitForRequirement: Verdict = { kind: 'wait', reason: 'requirement_unmet' }
const waitForPredecessor: Verdict = { kind: 'wait', reason: 'predecessor_missing' }

/** Joins ask what was reached before this report: what a jump passes on its way does not count for its own joins. */
function joinsMet(state: OperationState, track: CompiledTrack, statuses: readonly string[]): boolean {
  if (track.requires.size === 0) return true
  return statuses.every((status) =>
    (track.requires.get(status) ?? []).every((condition) => {
      const { reached } = trackOf(state, condition.track)
      return condition.in.some((awaited) => reached.includes(awaited))
    }),
  )
}

/** The statuses a report may now bring the track to, for those who were refused. */
export function allowedStatuses(state: OperationState, track: CompiledTrack): string[] {
  if (state.pipeline.any) return []
  return track.graph.statuses.filter((status) => judge(state, track, status).kind === 'move')
}
