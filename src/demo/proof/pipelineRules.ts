import { tracks } from '../pipeline.ts'

/** The demo's own reading of its pipeline, written apart from the service's, so that both must be wrong alike to agree. */
export interface Condition {
  readonly track: string
  readonly in: readonly string[]
  readonly orSkipped?: boolean
}

export interface TrackRules {
  readonly initial: string
  readonly transitions: Readonly<Record<string, readonly string[]>>
  readonly final: Readonly<Record<string, 'succeeded' | 'failed'>>
  readonly startsWhen?: Condition
  readonly requires?: Readonly<Record<string, readonly Condition[]>>
}

export const rules: Readonly<Record<string, TrackRules>> = tracks

export function reachable(track: TrackRules, from: string, to: string, without?: string): boolean {
  const seen = new Set<string>()
  const pending = [from]
  for (let status = pending.pop(); status !== undefined; status = pending.pop()) {
    for (const next of track.transitions[status] ?? []) {
      if (next === without || seen.has(next)) continue
      if (next === to) return true
      seen.add(next)
      pending.push(next)
    }
  }
  return false
}

/** The statuses a move from `from` to `to` passes through on every path, `to` among them. */
export function passedOnTheWay(track: TrackRules, from: string, to: string): readonly string[] {
  if (track.transitions[from]?.includes(to) === true) return [to]
  const between = Object.keys(track.transitions).filter(
    (status) =>
      status !== from &&
      status !== to &&
      reachable(track, from, status) &&
      reachable(track, status, to) &&
      !reachable(track, from, to, status),
  )
  return [...between, to]
}

/** Where a track stands, as far as conditions ask. */
export interface Standing {
  readonly rules: TrackRules
  readonly phase: 'waiting' | 'active' | 'final' | 'skipped'
  readonly status: string | null
  readonly reached: ReadonlySet<string>
}

export type Standings = Readonly<Record<string, Standing>>

export function isMet(standings: Standings, condition: Condition): boolean {
  const awaited = standings[condition.track]
  if (awaited === undefined) return false
  if (condition.orSkipped === true && awaited.phase === 'skipped') return true
  return condition.in.some((status) => awaited.reached.has(status))
}

/** The conditions that keep a track from entering `to` now: of its join, and of those of all statuses it must pass. */
export function unmetFor(standings: Standings, track: Standing, from: string, to: string): readonly Condition[] {
  return passedOnTheWay(track.rules, from, to).flatMap((status) =>
    (track.rules.requires?.[status] ?? []).filter((condition) => !isMet(standings, condition)),
  )
}

/** Tells what can still be entered: all other statuses are dead. Adds statuses, one round after the other, until none comes in. */
export function stillEnterable(standings: Standings): (track: string, status: string) => boolean {
  const entered = new Map(Object.keys(standings).map((name) => [name, new Set<string>()]))
  const mayBeMet = ({ track, in: awaited, orSkipped }: Condition): boolean => {
    const standing = standings[track]
    if (standing === undefined) return false
    if (orSkipped === true && standing.status === null) return true
    return awaited.some((status) => standing.reached.has(status) || entered.get(track)?.has(status) === true)
  }
  for (let grows = true; grows; ) {
    grows = false
    for (const [name, { rules: track, phase, status }] of Object.entries(standings)) {
      const into = entered.get(name)
      if (into === undefined || phase === 'skipped') continue
      const isOpen = (candidate: string): boolean => {
        if (phase === 'waiting' && candidate === track.initial) {
          return track.startsWhen === undefined || mayBeMet(track.startsWhen)
        }
        const isNext = (from: string): boolean => track.transitions[from]?.includes(candidate) === true
        const isAhead = (status !== null && isNext(status)) || [...into].some(isNext)
        return isAhead && (track.requires?.[candidate] ?? []).every(mayBeMet)
      }
      for (const candidate of statusesOf(track)) {
        if (into.has(candidate) || !isOpen(candidate)) continue
        into.add(candidate)
        grows = true
      }
    }
  }
  return (track, status) => entered.get(track)?.has(status) === true
}

function statusesOf(track: TrackRules): readonly string[] {
  return [...new Set([track.initial, ...Object.values(track.transitions).flat()])]
}
