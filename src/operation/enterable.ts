import type { CompiledPipeline, CompiledTrack, TrackCondition } from './pipeline.ts'

/** Where a track stands, as far as it decides what can still be entered. */
export interface TrackStanding {
  readonly phase: 'waiting' | 'active' | 'final' | 'skipped'
  readonly status: string | null
  readonly reached: readonly string[]
}

export type TrackStandings = Readonly<Record<string, TrackStanding>>

/** Which statuses some order of further reports can still bring each track into. */
export interface Enterable {
  /** Whether the track can still enter the status, as far as starts and joins allow it. */
  has(track: string, status: string): boolean
  /** False when no status of any track can be entered any more. */
  readonly any: boolean
}

/** One condition of a definition: what it guards is entered only once it is met. */
interface Guard {
  /** The track it asks about. */
  readonly track: string
  readonly orSkipped: boolean
}

interface GuardedTrack {
  readonly track: CompiledTrack
  /** Guard of its start; null when it starts with the operation. */
  readonly startGuard: number | null
  /** Guards of its joins, by the status's index. */
  readonly joins: ReadonlyMap<number, readonly number[]>
  /** Of its statuses those that guards ask for: their indexes, and which guards do. */
  readonly asked: ReadonlyMap<number, readonly number[]>
}

/** What `enterable` needs of a definition, worked out once. */
export interface EnterableTables {
  readonly tracks: ReadonlyMap<string, GuardedTrack>
  readonly guards: readonly Guard[]
}

/** Null for a definition without joins and starts: there, transitions alone say what can be entered. */
export function enterableTables(compiled: readonly CompiledTrack[]): EnterableTables | null {
  if (compiled.every((track) => track.startsWhen === null && track.requires.size === 0)) return null
  const guards: Guard[] = []
  const asked = new Map(compiled.map((track) => [track.name, new Map<number, number[]>()]))
  const indexesOf = new Map(compiled.map(({ name, graph }) => [name, graph.indexes]))
  const addGuard = ({ track, in: statuses, orSkipped }: TrackCondition): number => {
    const guard = guards.push({ track, orSkipped: orSkipped === true }) - 1
    const asking = asked.get(track)
    for (const status of statuses) {
      const index = indexesOf.get(track)?.get(status)
      if (index !== undefined) asking?.set(index, [...(asking.get(index) ?? []), guard])
    }
    return guard
  }
  const tracks = compiled.map((track): [string, GuardedTrack] => {
    const joins = new Map<number, readonly number[]>()
    for (const [status, conditions] of track.requires) {
      const index = track.graph.indexes.get(status)
      if (index !== undefined) joins.set(index, conditions.map(addGuard))
    }
    const startGuard = track.startsWhen === null ? null : addGuard(track.startsWhen)
    return [track.name, { track, startGuard, joins, asked: asked.get(track.name) ?? new Map() }]
  })
  return { tracks: new Map(tracks), guards }
}

/** Of each standing that was asked for: the tracks of an operation are another object after each change. */
const found = new WeakMap<TrackStandings, Enterable>()

/** What the operation's tracks can still enter. Found once for each change of its tracks. */
export function enterable(pipeline: CompiledPipeline, standings: TrackStandings): Enterable {
  const known = found.get(standings)
  if (known !== undefined) return known
  const { enterableTables: tables } = pipeline
  const result = tables === null ? byTransitions(pipeline, standings) : grown(tables, standings)
  found.set(standings, result)
  return result
}

function byTransitions(pipeline: CompiledPipeline, standings: TrackStandings): Enterable {
  return {
    has(name, status) {
      const graph = pipeline.tracks.get(name)?.graph
      const from = graph?.indexes.get(standings[name]?.status ?? '')
      const to = graph?.indexes.get(status)
      if (graph === undefined || from === undefined || to === undefined) return false
      return graph.reachable[from * graph.statuses.length + to] === 1
    },
    get any() {
      return Object.values(standings).some(({ phase }) => phase === 'active')
    },
  }
}

/**
 * Grows the set of what can be entered until nothing is added: from each started track's current status along transitions,
 * and from the initial status of a track once its start condition is met, into statuses each of whose conditions names one
 * that is reached or in the set, or allows that its track is skipped and that track has not started.
 */
function grown({ tracks, guards }: EnterableTables, standings: TrackStandings): Enterable {
  const met = new Uint8Array(guards.length)
  for (const [guard, { track, orSkipped }] of guards.entries()) {
    if (orSkipped && !hasStarted(standings[track])) met[guard] = 1
  }
  for (const { track, asked } of tracks.values()) {
    const reached = standings[track.name]?.reached ?? []
    for (const [index, asking] of asked) {
      if (reached.includes(track.graph.statuses[index] ?? '')) for (const guard of asking) met[guard] = 1
    }
  }
  const entered = new Map<string, Uint8Array>()
  for (let grows = true; grows; ) {
    grows = false
    for (const [name, guarded] of tracks) {
      const set = enteredNow(guarded, standings[name], met)
      if (set === null || set === entered.get(name)) continue
      entered.set(name, set)
      for (const [index, asking] of guarded.asked) {
        if (set[index] === 0) continue
        for (const guard of asking) {
          if (met[guard] === 1) continue
          met[guard] = 1
          grows = true
        }
      }
    }
  }
  return {
    has(name, status) {
      const index = tracks.get(name)?.track.graph.indexes.get(status)
      return index !== undefined && entered.get(name)?.[index] === 1
    },
    any: [...entered.values()].some((set) => set.includes(1)),
  }
}

/** By index of status: 1 where the track can be brought while these guards are met. Null: nowhere, it cannot start. */
function enteredNow(guarded: GuardedTrack, standing: TrackStanding | undefined, met: Uint8Array): Uint8Array | null {
  const { track, startGuard, joins } = guarded
  if (standing === undefined || standing.phase === 'skipped') return null
  const starts = standing.phase === 'waiting'
  if (starts && startGuard !== null && met[startGuard] === 0) return null
  const from = track.graph.indexes.get((starts ? track.initial : standing.status) ?? '')
  if (from === undefined) return null
  let key = starts ? `start ${from}` : `${from}`
  const closed = new Set<number>()
  for (const [index, conditions] of joins) {
    if (conditions.every((guard) => met[guard] === 1)) continue
    closed.add(index)
    key += ` ${index}`
  }
  const closures = closuresOf(guarded)
  const found = closures.get(key)
  if (found !== undefined) return found
  if (closures.size >= closuresMax) closures.clear()
  const set = closure(track.graph.next, from, closed)
  // A start asks for no join of the initial status.
  if (starts) set[from] = 1
  closures.set(key, set)
  return set
}

/** By track: what can be entered from a status while some joins are closed. Most operations stand alike. */
const knownClosures = new WeakMap<GuardedTrack, Map<string, Uint8Array>>()
/** Of one track, 128 bytes at most each. */
const closuresMax = 256

function closuresOf(guarded: GuardedTrack): Map<string, Uint8Array> {
  const found = knownClosures.get(guarded) ?? new Map<string, Uint8Array>()
  knownClosures.set(guarded, found)
  return found
}

/** What transitions lead to from a status, around the closed ones. */
function closure(next: readonly (readonly number[])[], from: number, closed: ReadonlySet<number>): Uint8Array {
  const set = new Uint8Array(next.length)
  const open = [from]
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    for (const target of next[index] ?? []) {
      if (set[target] === 1 || closed.has(target)) continue
      set[target] = 1
      open.push(target)
    }
  }
  return set
}

function hasStarted(standing: TrackStanding | undefined): boolean {
  return standing !== undefined && (standing.phase === 'active' || standing.phase === 'final')
}
