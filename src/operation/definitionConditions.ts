import type { CheckedTrack } from './definitionCheck.ts'
import { type DefinitionError, pointer } from './definitionParse.ts'
import { enterable, type TrackStanding, type TrackStandings } from './enterable.ts'
import { canReach } from './graph.ts'
import { type CompiledPipeline, compilePipeline, type PipelineDefinition, type TrackCondition } from './pipeline.ts'

type Tracks = ReadonlyMap<string, CheckedTrack>

/**
 * Starts and joins: names they use, circles of starts, and whether they can ever be met. The last is only asked of a
 * definition whose tracks are sound (`sound`) and whose names are known: its answers would mislead otherwise.
 */
export function checkConditions(tracks: Tracks, definition: PipelineDefinition, sound: boolean): DefinitionError[] {
  const names = [...tracks.values()].flatMap((track) => checkNames(tracks, track))
  if (names.length > 0) return names
  const circles = checkCircles(tracks)
  if (circles.length > 0 || !sound) return circles
  return checkAttainable(tracks, definition)
}

function checkNames(tracks: Tracks, track: CheckedTrack): DefinitionError[] {
  const errors: DefinitionError[] = []
  const check = (condition: TrackCondition, ...path: (string | number)[]): void => {
    const awaited = tracks.get(condition.track)
    const at = ['tracks', track.name, ...path]
    if (awaited === undefined) {
      errors.push({ pointer: pointer(...at, 'track'), detail: `there is no track ${JSON.stringify(condition.track)}` })
      return
    }
    condition.in.forEach((status, index) => {
      if (awaited.graph.indexes.has(status)) return
      const detail = `track ${JSON.stringify(condition.track)} has no status ${JSON.stringify(status)}`
      errors.push({ pointer: pointer(...at, 'in', index), detail })
    })
  }
  const { startsWhen, requires = {} } = track.definition
  if (startsWhen !== undefined) check(startsWhen, 'startsWhen')
  for (const [status, join] of Object.entries(requires)) {
    const place = pointer('tracks', track.name, 'requires', status)
    if (!track.graph.indexes.has(status)) errors.push({ pointer: place, detail: 'is no status of the track' })
    else if (status === track.initial && !canReach(track.graph, status, status)) {
      errors.push({ pointer: place, detail: 'no report ever brings the track to its initial status' })
    }
    join.forEach((condition, index) => {
      check(condition, 'requires', status, index)
    })
  }
  return errors
}

/** A track starts at once, or after one that starts: what is left over waits in a circle, or for one. */
function checkCircles(tracks: Tracks): DefinitionError[] {
  const starting = new Set<string>()
  for (let before = -1; before !== starting.size; ) {
    before = starting.size
    for (const { name, definition } of tracks.values()) {
      if (definition.startsWhen === undefined || starting.has(definition.startsWhen.track)) starting.add(name)
    }
  }
  return [...tracks.keys()]
    .filter((name) => !starting.has(name))
    .map((name) => ({
      pointer: pointer('tracks', name, 'startsWhen'),
      detail: 'waits for itself: its start depends on a circle of starts',
    }))
}

/**
 * What a new operation can never enter, by the same growth that says what a running one still can (enterable.ts). Two
 * conditions that exclude each other on one track are found after; those that exclude each other only through further
 * tracks' branches are not (that question is as hard as SAT).
 */
function checkAttainable(tracks: Tracks, definition: PipelineDefinition): DefinitionError[] {
  const pipeline = compilePipeline('', 1, definition)
  const standings = initialStandings(pipeline)
  const canEnter = enterable(pipeline, standings)
  const attained = (track: string, status: string): boolean =>
    canEnter.has(track, status) || standings[track]?.status === status
  const errors: DefinitionError[] = []
  for (const track of tracks.values()) {
    const { startsWhen, requires = {} } = track.definition
    if (startsWhen !== undefined && !isAttained(attained, startsWhen)) {
      errors.push({ pointer: pointer('tracks', track.name, 'startsWhen'), detail: 'can never be met' })
      continue
    }
    for (const [status, join] of Object.entries(requires)) {
      const place = (index: number): string => pointer('tracks', track.name, 'requires', status, index)
      const blocking = join.findIndex((condition) => condition.orSkipped !== true && !isAttained(attained, condition))
      if (blocking !== -1) {
        // Where nothing leads to it, what blocks the way there is told instead.
        const isLedTo = track.graph.statuses.some(
          (from) => attained(track.name, from) && track.transitions.get(from)?.includes(status),
        )
        if (isLedTo) errors.push({ pointer: place(blocking), detail: 'can never be met' })
        continue
      }
      const excluded = firstExcluded(tracks, track, status, join)
      if (excluded !== -1) {
        errors.push({
          pointer: place(excluded),
          detail: 'can never be met: no way through its track meets it, and those on that track before it',
        })
      }
    }
  }
  return errors.length > 0 ? errors : dead(tracks, attained)
}

/** A status may be dead though each join by itself could be met: when all ways to it lead through joins on itself. */
function dead(tracks: Tracks, attained: (track: string, status: string) => boolean): DefinitionError[] {
  return [...tracks.values()].flatMap(({ name, transitions, graph }) =>
    graph.statuses
      .filter((status) => !attained(name, status))
      .map((status) => ({
        pointer: pointer('tracks', name, transitions.has(status) ? 'transitions' : 'final', status),
        detail: 'can never be entered: every way to it leads through a join that can never be met',
      })),
  )
}

function initialStandings(pipeline: CompiledPipeline): TrackStandings {
  const standings = [...pipeline.tracks.values()].map(({ name, initial, startsWhen }) => {
    const standing: TrackStanding =
      startsWhen === null && initial !== null
        ? { phase: 'active', status: initial, reached: [initial] }
        : { phase: 'waiting', status: null, reached: [] }
    return [name, standing] as const
  })
  return Object.fromEntries(standings)
}

function isAttained(attained: (track: string, status: string) => boolean, condition: TrackCondition): boolean {
  return condition.in.some((status) => attained(condition.track, status))
}

/** The first condition of a join that no single walk through its track can meet along with those before it; -1: none. */
function firstExcluded(tracks: Tracks, own: CheckedTrack, status: string, join: readonly TrackCondition[]): number {
  for (const name of new Set(join.map((condition) => condition.track))) {
    const track = tracks.get(name)
    // One that a skipped track meets as well excludes nothing.
    const conditions = join.filter((condition) => condition.track === name && condition.orSkipped !== true)
    const end = track === own ? status : null
    // One condition on another track is met by a walk: its statuses were found attainable.
    if (track === undefined || conditions.length === 0 || (conditions.length === 1 && end === null)) continue
    if (isWalkable(track, conditions, end)) continue
    const excluded = conditions.find((_, index) => !isWalkable(track, conditions.slice(0, index + 1), end))
    if (excluded !== undefined) return join.indexOf(excluded)
  }
  return -1
}

/** Whether a walk from the initial status meets all conditions, and can then enter `end` if there is one. */
function isWalkable(
  { graph, initial }: CheckedTrack,
  conditions: readonly TrackCondition[],
  end: string | null,
): boolean {
  const meets = graph.statuses.map((status) =>
    conditions.reduce((bits, condition, bit) => (condition.in.includes(status) ? bits | (1 << bit) : bits), 0),
  )
  const all = (1 << conditions.length) - 1
  const last = end === null ? -1 : (graph.indexes.get(end) ?? -1)
  // A place is a status and the conditions met on the way to it, in one number.
  const seen = new Uint8Array(graph.statuses.length << conditions.length)
  const open: number[] = []
  const enter = (index: number, met: number): void => {
    const place = (index << conditions.length) | met | (meets[index] ?? 0)
    if (seen[place] === 1) return
    seen[place] = 1
    open.push(place)
  }
  enter(graph.indexes.get(initial) ?? 0, 0)
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const met = place & all
    const targets = graph.next[place >> conditions.length] ?? []
    if (met === all && (end === null || targets.includes(last))) return true
    // The guarded status counts only as the walk's end: before, its join has never been met.
    for (const target of targets) if (target !== last) enter(target, met)
  }
  return false
}
