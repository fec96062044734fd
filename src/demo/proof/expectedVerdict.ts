import type { Policy } from '../pipeline.ts'
import { type Documents, type Patches, wouldChange } from './documents.ts'
import { reachable, type Standing, type Standings, stillEnterable, unmetFor } from './pipelineRules.ts'

/** A report, as far as what becomes of it depends on it. */
export interface Said {
  readonly track: string
  readonly service: string
  readonly status: string
  readonly sequence: number | null
  /** As it was sent: what is on record may leave them out. */
  readonly documents: Patches
}

export interface HeldSaid extends Said {
  readonly key: string
}

export interface MarkedStanding extends Standing {
  /** By service: the highest sequence of its reports here that were decided. */
  readonly marks: ReadonlyMap<string, number>
}

/** An operation, as far as what becomes of a report depends on it. */
export interface Situation {
  readonly policy: Policy
  readonly tracks: Readonly<Record<string, MarkedStanding>>
  readonly held: readonly HeldSaid[]
  readonly documents: Documents
  readonly ended: boolean
}

export type Verdict =
  | { readonly type: 'StatusChanged' }
  | { readonly type: 'DataMerged' }
  | { readonly type: 'ReportHeld'; readonly reason: string }
  | {
      readonly type: 'ReportIgnored'
      readonly reason: string
      /** True: it is on record without its documents. */
      readonly wordless?: true
      /** True: it moves no mark and fills nothing. */
      readonly idle?: true
    }
  | { readonly type: 'refused'; readonly code: string }

/**
 * What becomes of a report, by the demo's own reading of the rules.
 *
 * @param wasHeld whether it waited and is looked at again
 */
export function expectedVerdict(situation: Situation, said: Said, wasHeld: boolean): Verdict {
  const standing = situation.tracks[said.track]
  if (standing === undefined) return { type: 'refused', code: 'unknown_status' }
  const mark = standing.marks.get(said.service)
  if (said.sequence !== null && mark !== undefined && said.sequence <= mark) {
    return { type: 'ReportIgnored', reason: said.sequence < mark ? 'older_sequence' : 'duplicate' }
  }
  if (!wasHeld && situation.held.some((held) => saysTheSame(held, said))) {
    return { type: 'ReportIgnored', reason: 'duplicate', idle: true }
  }
  const verdict = byStanding(situation, standing, said)
  if (verdict.type === 'refused' && wasHeld) return { type: 'ReportIgnored', reason: 'unreachable', idle: true }
  return verdict
}

function saysTheSame(held: Said, said: Said): boolean {
  return (
    held.service === said.service &&
    held.track === said.track &&
    held.status === said.status &&
    held.sequence === said.sequence
  )
}

function byStanding({ policy, tracks, documents, ended }: Situation, standing: Standing, said: Said): Verdict {
  const { status } = said
  const { phase, status: current, rules } = standing
  const isDead = (): boolean => !stillEnterable(tracks)(said.track, status)
  if (phase === 'skipped') return { type: 'refused', code: 'unreachable' }
  if (current === null) {
    return isDead() ? { type: 'refused', code: 'unreachable' } : { type: 'ReportHeld', reason: 'requirement_unmet' }
  }
  if (status === current) {
    if (!wouldChange(documents, said.documents)) return { type: 'ReportIgnored', reason: 'duplicate', wordless: true }
    return ended ? { type: 'ReportIgnored', reason: 'operation_ended' } : { type: 'DataMerged' }
  }
  if (!reachable(rules, current, status)) {
    return reachable(rules, status, current)
      ? { type: 'ReportIgnored', reason: 'overtaken' }
      : { type: 'refused', code: 'transition_not_allowed' }
  }
  if (isDead()) return { type: 'refused', code: 'unreachable' }
  if (policy === 'hold' && rules.transitions[current]?.includes(status) !== true) {
    return { type: 'ReportHeld', reason: 'predecessor_missing' }
  }
  return unmetFor(tracks, standing, current, status).length > 0
    ? { type: 'ReportHeld', reason: 'requirement_unmet' }
    : { type: 'StatusChanged' }
}

/**
 * The order in which an append that applied a report looks at the held ones: that of arrival, those of one service and track
 * in the order of their sequences within the places that they hold.
 */
export function releaseOrder(held: readonly HeldSaid[]): readonly HeldSaid[] {
  return held.map((one, place) => {
    const isOfItsOwn = (other: Said) =>
      other.sequence !== null && other.service === one.service && other.track === one.track
    if (!isOfItsOwn(one)) return one
    const sorted = held.filter(isOfItsOwn).sort((left, right) => (left.sequence ?? 0) - (right.sequence ?? 0))
    return sorted[held.slice(0, place).filter(isOfItsOwn).length] ?? one
  })
}

/**
 * The held report that must come next in an append: the first in the order that no longer waits; once the operation has ended,
 * the first of those left.
 */
export function nextReleased(
  situation: Situation,
  order: readonly HeldSaid[],
): { readonly key: string; readonly verdict: Verdict } | null {
  for (const said of order) {
    const verdict = expectedVerdict(situation, said, true)
    if (verdict.type !== 'ReportHeld') return { key: said.key, verdict }
  }
  const [left] = situation.held
  return situation.ended && left !== undefined
    ? { key: left.key, verdict: { type: 'ReportIgnored', reason: 'operation_ended' } }
    : null
}

/** One status that a transition leads to, as the service shows it. */
export function nextOf(standings: Standings, name: string) {
  const standing = standings[name]
  const current = standing?.status ?? null
  if (standing === undefined || current === null) return []
  const canEnter = stillEnterable(standings)
  return (standing.rules.transitions[current] ?? []).map((status) => {
    const unmet = unmetFor(standings, standing, current, status)
    const waitingFor = unmet.map(({ track, in: awaited }) => ({
      track,
      in: awaited,
      is: standings[track]?.status ?? null,
    }))
    return {
      status,
      ready: unmet.length === 0 && canEnter(name, status),
      ...(canEnter(name, status) ? null : { unreachable: true }),
      ...(unmet.length === 0 ? null : { waitingFor }),
    }
  })
}
