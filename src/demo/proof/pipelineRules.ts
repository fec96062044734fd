import { tracks } from '../pipeline.ts'

/** The demo's own reading of its pipeline, written apart from the service's, so that both must be wrong alike to agree. */
export interface Condition {
  readonly track: string
  readonly in: readonly string[]
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
