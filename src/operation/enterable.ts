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

/** One condition of a definition. */
interface Guard {
  /** Place of the status that it guards. */
  readonly guarded: number
  /** The track it asks about. */
  readonly track: string
  readonly orSkipped: boolean
}

interface PlacedTrack {
  readonly track: CompiledTrack
  /** Place of its first status; the others follow. */
  readonly first: number
  /** Place that stands for its start: entered once its start condition can be met. */
  readonly start: number
}

/** What `enterable` needs of a definition, worked out once: every status and every start has a place in one row. */
export interface EnterableTables {
  readonly tracks: ReadonlyMap<string, PlacedTrack>
  /** By place of a status. */
  readonly owners: readonly PlacedTrack[]
  readonly places: number
  readonly guards: readonly Guard[]
  /** By place: how many guards must be met before it can be entered. */
  readonly guardCount: Uint16Array
  /** By place: the guards that ask for that status. */
  readonly guardsAsking: readonly (readonly number[])[]
}

/** Null for a definition without joins and starts: there, transitions alone say what can be entered. */
export function enterableTables(compiled: readonly CompiledTrack[]): EnterableTables | null {
  if (compiled.every((track) => track.startsWhen === null && track.requires.size === 0)) return null
  const statuses = compiled.reduce((sum, { graph }) => sum + graph.statuses.length, 0)
  const tracks = new Map<string, PlacedTrack>()
  const owners: PlacedTrack[] = []
  for (const track of compiled) {
    const placed = { track, first: owners.length, start: statuses + tracks.size }
    tracks.set(track.name, placed)
    for (const _ of track.graph.statuses) owners.push(placed)
  }
  const places = statuses + tracks.size
  const guards: Guard[] = []
  const guardCount = new Uint16Array(places)
  const guardsAsking = Array.from({ length: places }, (): number[] => [])
  const addGuard = (guarded: number, { track, in: statusesIn, orSkipped }: TrackCondition): void => {
    const asked = tracks.get(track)
    for (const status of statusesIn) {
      const index = asked?.track.graph.indexes.get(status)
      if (asked !== undefined && index !== undefined) guardsAsking[asked.first + index]?.push(guards.length)
    }
    guards.push({ guarded, track, orSkipped: orSkipped === true })
    guardCount[guarded] = (guardCount[guarded] ?? 0) + 1
  }
  for (const { track, first, start } of tracks.values()) {
    if (track.startsWhen !== null) addGuard(start, track.startsWhen)
    for (const [status, conditions] of track.requires) {
      const index = track.graph.indexes.get(status)
      if (index !== undefined) for (const condition of conditions) addGuard(first + index, condition)
    }
  }
  return { tracks, owners, places, guards, guardCount, guardsAsking }
}

/** Of each standing that was asked for: the tracks of an operation are another object after each change. */
const known = new WeakMap<TrackStandings, Enterable>()

/** What the operation's tracks can still enter. Found once for each change of its tracks. */
export function enterable(pipeline: CompiledPipeline, standings: TrackStandings): Enterable {
  const found = known.get(standings)
  if (found !== undefined) return found
  const { enterableTables: tables } = pipeline
  const result = tables === null ? byTransitions(pipeline, standings) : grown(tables, standings)
  known.set(standings, result)
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
 * that is reached or in the set, or allows that its track is skipped and that track has not started. Each transition and
 * each condition is looked at once.
 */
function grown(tables: EnterableTables, standings: TrackStandings): Enterable {
  const { tracks, owners, guards, guardsAsking } = tables
  const reached = new Uint8Array(tables.places)
  const entered = new Uint8Array(tables.places)
  /** What a transition leads to from somewhere that is, or can be, entered. */
  const adjacent = new Uint8Array(tables.places)
  const unmet = new Uint16Array(tables.guardCount)
  const met = new Uint8Array(guards.length)
  const open: number[] = []
  let any = false
  const reach = (place: number): void => {
    if (reached[place] === 1) return
    reached[place] = 1
    for (const guard of guardsAsking[place] ?? []) meet(guard)
  }
  const meet = (guard: number): void => {
    if (met[guard] === 1) return
    met[guard] = 1
    const guarded = guards[guard]?.guarded ?? 0
    unmet[guarded] = (unmet[guarded] ?? 0) - 1
    enterIfFree(guarded)
  }
  const enterIfFree = (place: number): void => {
    if (adjacent[place] === 1 && unmet[place] === 0) enter(place)
  }
  const enter = (place: number): void => {
    if (entered[place] === 1) return
    entered[place] = 1
    any = true
    open.push(place)
    reach(place)
  }
  const explore = ({ first, track }: PlacedTrack, index: number): void => {
    for (const next of track.graph.next[index] ?? []) {
      adjacent[first + next] = 1
      enterIfFree(first + next)
    }
  }

  for (const { track, first } of tracks.values()) {
    for (const status of standings[track.name]?.reached ?? []) {
      const index = track.graph.indexes.get(status)
      if (index !== undefined) reach(first + index)
    }
  }
  for (const [guard, { orSkipped, track }] of guards.entries()) {
    if (orSkipped && !hasStarted(standings[track])) meet(guard)
  }
  for (const placed of tracks.values()) {
    const standing = standings[placed.track.name]
    if (standing?.phase === 'waiting') {
      adjacent[placed.start] = 1
      enterIfFree(placed.start)
    } else if (standing !== undefined && standing.status !== null) {
      const index = placed.track.graph.indexes.get(standing.status)
      if (index !== undefined) explore(placed, index)
    }
  }
  const starting = new Map([...tracks.values()].map((placed) => [placed.start, placed]))
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const started = starting.get(place)
    const owner = owners[place]
    if (owner !== undefined) explore(owner, place - owner.first)
    // A start asks for no join of the initial status.
    else if (started !== undefined)
      enter(started.first + (started.track.graph.indexes.get(started.track.initial ?? '') ?? 0))
  }
  return {
    has(name, status) {
      const placed = tracks.get(name)
      const index = placed?.track.graph.indexes.get(status)
      return placed !== undefined && index !== undefined && entered[placed.first + index] === 1
    },
    any,
  }
}

function hasStarted(standing: TrackStanding | undefined): boolean {
  return standing !== undefined && (standing.phase === 'active' || standing.phase === 'final')
}
