import type { OperationState } from '../../../src/operation/state.ts'
import { isBlocked } from '../../../src/operation/view.ts'
import type { OperationQuery } from '../../../src/projections/readModel.ts'

/** What a list means, written plainly. */
export function expectedIds(states: readonly OperationState[], query: OperationQuery): string[] {
  const compare = (left: readonly [string | number, string], right: readonly [string | number, string]): number => {
    const order =
      left[0] === right[0] ? (left[1] < right[1] ? -1 : left[1] > right[1] ? 1 : 0) : left[0] < right[0] ? -1 : 1
    return query.sort.startsWith('-') ? -order : order
  }
  const { after } = query
  const last = states.find(({ id }) => id === after?.id)
  return states
    .filter((state) => matches(query, state))
    .map((state) => [sortValue(query, state), state.id] as const)
    .filter((key) => last === undefined || compare([sortValue(query, last), last.id], key) < 0)
    .sort(compare)
    .slice(0, query.pageSize)
    .map(([, id]) => id)
}

function sortValue({ sort, track }: OperationQuery, state: OperationState): string | number {
  if (sort === 'since') {
    const since = sinceOf(state, track)
    // Those without come last, in order of opening.
    return since === null ? 2 ** 52 + Date.parse(state.openedAt) : Date.parse(since)
  }
  return sort === 'id' ? state.id : sort === '-openedAt' ? state.openedAt : state.updatedAt
}

function sinceOf({ tracks, pipeline }: OperationState, track: string | undefined): string | null {
  return tracks[track ?? pipeline.defaultTrack ?? '']?.since ?? null
}

export function placeOf(query: OperationQuery, state: OperationState): { readonly value: string; readonly id: string } {
  return { value: String(sortValue(query, state)), id: state.id }
}

const isOneOf = (asked: string | readonly string[], value: string | null) => [asked].flat().some((one) => one === value)

function matches(query: OperationQuery, state: OperationState): boolean {
  const { track, status } = query
  const statuses = Object.entries(state.tracks).map(([name, { status: current }]) => ({ name, current }))
  if (query.pipeline !== undefined && !isOneOf(query.pipeline, state.pipeline.name)) return false
  if (query.state !== undefined && !isOneOf(query.state, state.state)) return false
  if (track !== undefined && !statuses.some(({ name }) => name === track)) return false
  if (
    status !== undefined &&
    !statuses.some(({ name, current }) => isOneOf(status, current) && (track === undefined || track === name))
  ) {
    return false
  }
  if (query.idPrefix !== undefined && !state.id.startsWith(query.idPrefix)) return false
  if (query.theme !== undefined && state.theme !== query.theme) return false
  for (const [member, wanted] of Object.entries(query.metadata ?? {})) {
    const actual = state.metadata.value[member]
    if (typeof actual === 'object' || actual === undefined || String(actual) !== wanted) return false
  }
  return matchesTimes(query, state) && matchesStanding(query, state)
}

function matchesTimes(query: OperationQuery, state: OperationState): boolean {
  if (query.updatedAfter !== undefined && state.updatedAt <= query.updatedAfter) return false
  if (query.updatedBefore !== undefined && state.updatedAt >= query.updatedBefore) return false
  const since = sinceOf(state, query.track)
  if (query.sinceAfter !== undefined && (since === null || since <= query.sinceAfter)) return false
  if (query.sinceBefore !== undefined && (since === null || since >= query.sinceBefore)) return false
  const { heardBefore } = query
  return Object.values(state.tracks).every(
    ({ heardAt }) => heardBefore === undefined || heardAt === null || heardAt < heardBefore,
  )
}

function matchesStanding({ held, blocked, anyTrack }: OperationQuery, state: OperationState): boolean {
  if (held !== undefined && held !== state.held.length > 0) return false
  if (blocked !== undefined && blocked !== isBlocked(state)) return false
  return anyTrack === undefined || Object.values(state.tracks).some(({ outcome }) => outcome === 'failed')
}
