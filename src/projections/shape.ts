import { createHash } from 'node:crypto'
import { anyPipeline } from '../operation/pipeline.ts'
import type { OperationState } from '../operation/state.ts'
import { isBlocked } from '../operation/view.ts'
import { anyTrack, otherStatus } from './countedStatuses.ts'
import { defaultSince, lastHeard } from './times.ts'

/** All that filters and counts ask of an operation's standing, shared by the many operations that stand alike. */
export interface Shape {
  readonly id: bigint
  readonly pipeline: string
  readonly state: string
  /** JSON text: status (or null) by track, in order of the tracks' names; `otherStatus` where it is not counted by name. */
  readonly tracks: string
  /** Whether it stands for the statuses of pipeline `any` that are not counted by name. */
  readonly isOther: boolean
  readonly blocked: boolean
  /** Whether reports are held. */
  readonly held: boolean
  /** Whether a track has failed, whatever the state. */
  readonly failed: boolean
  /** Which event set the status of the default track. */
  readonly since: WhichEvent
  /** Which event was the last report. */
  readonly heard: WhichEvent
  /** The tracks beside the default one whose status the operation's last event set. */
  readonly changedTracks: readonly string[]
  /** By track: a hash of pipeline, state, track and status, of the tracks beside the default one that have a status. */
  readonly standings: ReadonlyMap<string, bigint>
  /** Its row without the count, as members of a JSON object: the same for each batch, so it is printed once. */
  readonly members: string
}

/** The operation's last event, one before, or none. */
export type WhichEvent = 'last' | 'earlier' | 'none'

type Flags = Pick<Shape, 'blocked' | 'held' | 'failed' | 'since' | 'heard' | 'changedTracks'>

/** More shapes than any set of pipelines has. */
const rememberedMax = 20_000

/** Finds an operation's shape. Remembers those it has seen: a hash for each fold would cost more than the fold. */
export class Shapes {
  readonly #seen = new Map<string, Shape>()
  readonly #isCounted: (status: string) => boolean

  /** `isCounted`: whether a status of pipeline `any` is counted by name. */
  constructor(isCounted: (status: string) => boolean) {
    this.#isCounted = isCounted
  }

  of(state: OperationState): Shape {
    const flags = flagsOf(state)
    const key = this.#keyOf(state, flags)
    const seen = this.#seen.get(key)
    if (seen !== undefined) return seen
    if (this.#seen.size >= rememberedMax) this.#seen.clear()
    const shape = shapeOf(state, this.#statusesOf(state), flags)
    this.#seen.set(key, shape)
    return shape
  }

  /** Made at each fold, so without an array of them. Lengths go before texts, so that no two differ only in where one ends. */
  #keyOf(state: OperationState, flags: Flags): string {
    let key = `${state.pipeline.name} ${state.state} ${flagsText(flags)}`
    for (const name of Object.keys(state.tracks)) {
      const status = this.#statusOf(state, name)
      key += status === null ? ` ${name}` : ` ${name} ${status.length}:${status}`
    }
    return key
  }

  #statusesOf(state: OperationState): Statuses {
    return Object.keys(state.tracks).map((name) => [name, this.#statusOf(state, name)])
  }

  /** As it is counted. */
  #statusOf({ pipeline, tracks }: OperationState, track: string): string | null {
    const status = tracks[track]?.status ?? null
    return pipeline.any && status !== null && !this.#isCounted(status) ? otherStatus : status
  }
}

/** By track. */
type Statuses = readonly (readonly [track: string, status: string | null])[]

/** The row by which a status of pipeline `any` is remembered as one that is counted by name: the commonest shape with it. */
export function shapeOfStatus(status: string): Shape {
  const flags: Flags = { blocked: false, held: false, failed: false, since: 'last', heard: 'last', changedTracks: [] }
  return shapeOf({ pipeline: anyPipeline, state: 'active' }, [[anyTrack, status]], flags)
}

function flagsOf(state: OperationState): Flags {
  const { pipeline, tracks, updatedAt } = state
  let failed = false
  let changedTracks = noTracks
  for (const name of Object.keys(tracks)) {
    const track = tracks[name]
    if (track?.outcome === 'failed') failed = true
    if (track?.since === updatedAt && name !== pipeline.defaultTrack) changedTracks = [...changedTracks, name].sort()
  }
  return {
    blocked: !movesFreely(state) && isBlocked(state),
    held: state.held.length > 0,
    failed,
    since: whichEvent(defaultSince(state), updatedAt),
    heard: whichEvent(lastHeard(state), updatedAt),
    changedTracks,
  }
}

const noTracks: readonly string[] = []

/** One of the same millisecond counts as the last: lists go by times. */
function whichEvent(at: string | null, updatedAt: string): WhichEvent {
  if (at === null) return 'none'
  return at === updatedAt ? 'last' : 'earlier'
}

/** Whether a track can leave its status without a join: nearly always, and then nothing else need be looked at. */
function movesFreely({ pipeline, tracks }: OperationState): boolean {
  for (const { name, graph, requires } of pipeline.tracks.values()) {
    const from = graph.indexes.get(tracks[name]?.status ?? '')
    if (from === undefined) continue
    for (const next of graph.next[from] ?? []) if (!requires.has(graph.statuses[next] ?? '')) return true
  }
  return false
}

/** No name of a track has a comma. */
function flagsText({ blocked, held, failed, since, heard, changedTracks }: Flags): string {
  return `${blocked ? 'b' : ''}${held ? 'h' : ''}${failed ? 'f' : ''},${since},${heard},${changedTracks.join(',')}`
}

function shapeOf(
  { pipeline, state }: Pick<OperationState, 'pipeline' | 'state'>,
  statuses: Statuses,
  flags: Flags,
): Shape {
  const sorted = [...statuses].sort(([one], [other]) => (one < other ? -1 : 1))
  const members = sorted.map(([name, status]) => `${JSON.stringify(name)}:${JSON.stringify(status)}`)
  const text = `{${members.join(',')}}`
  const standings = new Map<string, bigint>()
  for (const [name, status] of sorted) {
    if (name === pipeline.defaultTrack || status === null) continue
    standings.set(name, hashed(`${pipeline.name}\n${state}\n${name}\n${status}`))
  }
  const id = hashed(`${pipeline.name}\n${state}\n${text}\n${flagsText(flags)}`)
  const isOther = statuses.some(([, status]) => status === otherStatus)
  const found = { id, pipeline: pipeline.name, state, tracks: text, isOther, ...flags, standings }
  return { ...found, members: membersOf(found) }
}

function membersOf(shape: Omit<Shape, 'members'>): string {
  const { id, tracks, standings, isOther: _, ...columns } = shape
  // JavaScript's own numbers do not hold a hash.
  const hashes = [...standings].map(([track, standing]) => `${JSON.stringify(track)}:${standing}`).join(',')
  return `"id":${id},"tracks":${tracks},"standings":{${hashes}},${JSON.stringify(columns).slice(1, -1)}`
}

/**
 * A function of what it stands for, so that a rebuild and another node come to the same id. 64 bits: among a million
 * shapes, two are alike with a chance of 1 in 37 million.
 */
function hashed(text: string): bigint {
  return createHash('sha256').update(text).digest().readBigInt64BE(0)
}
