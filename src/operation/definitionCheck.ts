import { checkConditions } from './definitionConditions.ts'
import { type DefinitionError, definitionBounds, pointer } from './definitionParse.ts'
import { canReach, type StatusGraph, statusGraph } from './graph.ts'
import { newNamePattern } from './names.ts'
import type { PipelineDefinition, TrackDefinition } from './pipeline.ts'

/** One track of a definition under check. */
export interface CheckedTrack {
  readonly name: string
  readonly initial: string
  readonly definition: TrackDefinition
  readonly transitions: ReadonlyMap<string, readonly string[]>
  readonly final: ReadonlySet<string>
  readonly graph: StatusGraph
}

/**
 * What the names of a definition in the long form mean to each other. Pointers are into the long form; a short form that
 * parses is a chain of different statuses, of which nothing here can be wrong but their number and their characters: those
 * are looked at here, as definitions of before the rule are to be taken again.
 */
export function checkDefinition(definition: PipelineDefinition): readonly DefinitionError[] {
  const tracks = Object.entries(definition.tracks).map(([name, track]) => checkedTrack(name, track))
  const errors = tracks.flatMap((track) => checkTrack(track, definition.outOfOrder === 'advance'))
  const byName = new Map(tracks.map((track) => [track.name, track]))
  errors.push(...checkConditions(byName, definition, errors.length === 0))
  return errors.slice(0, definitionBounds.errorsMax)
}

function checkedTrack(name: string, definition: TrackDefinition): CheckedTrack {
  const transitions = new Map(Object.entries(definition.transitions))
  const final = new Set(Object.keys(definition.final))
  const statuses = new Set([...transitions.keys(), ...final])
  return {
    name,
    initial: definition.initial ?? '',
    definition,
    transitions,
    final,
    graph: statusGraph([...statuses], transitions),
  }
}

function checkTrack(track: CheckedTrack, advance: boolean): DefinitionError[] {
  const at = (...path: (string | number)[]): string => pointer('tracks', track.name, ...path)
  const { statusesPerTrackMax } = definitionBounds
  if (track.graph.statuses.length > statusesPerTrackMax) {
    return [{ pointer: at(), detail: `has more than ${statusesPerTrackMax} statuses` }]
  }
  if (track.final.size === 0) return [{ pointer: at('final'), detail: 'needs at least one final status' }]
  if (!track.graph.indexes.has(track.initial)) {
    const detail = 'is no status of the track: it has no transitions and is not final'
    return [{ pointer: at('initial'), detail }]
  }
  return [
    ...checkNames(track, at),
    ...checkTransitions(track, at),
    ...checkReachability(track, at),
    ...(advance ? checkCycles(track, at) : []),
  ]
}

function checkNames({ graph }: CheckedTrack, at: At): DefinitionError[] {
  return graph.statuses
    .filter((status) => !newNamePattern.test(status))
    .map((status) => ({
      pointer: at(),
      detail: `has a status with characters that are invisible or reorder text: ${visible(status)}`,
    }))
}

/** With an escape for all but ASCII. */
const visible = (text: string) =>
  JSON.stringify(text).replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

type At = (...path: (string | number)[]) => string

function checkTransitions(track: CheckedTrack, at: At): DefinitionError[] {
  const errors: DefinitionError[] = []
  for (const [status, targets] of track.transitions) {
    if (track.final.has(status) && targets.length > 0) {
      errors.push({ pointer: at('transitions', status), detail: 'a final status has no transitions' })
    }
    if (!track.final.has(status) && targets.length === 0) {
      errors.push({ pointer: at('transitions', status), detail: 'a status without transitions must be final' })
    }
    targets.forEach((target, index) => {
      if (track.graph.indexes.has(target)) return
      const detail = `${JSON.stringify(target)} has no transitions and is not final`
      errors.push({ pointer: at('transitions', status, index), detail })
    })
  }
  return errors
}

function checkReachability(track: CheckedTrack, at: At): DefinitionError[] {
  const { graph, initial, transitions } = track
  const errors: DefinitionError[] = []
  for (const status of graph.statuses) {
    const place = at(transitions.has(status) ? 'transitions' : 'final', status)
    if (status !== initial && !canReach(graph, initial, status)) {
      errors.push({ pointer: place, detail: `cannot be reached from ${JSON.stringify(initial)}` })
    } else if ((transitions.get(status)?.length ?? 0) > 0 && !ends(track, status)) {
      errors.push({ pointer: place, detail: 'is a dead end: no final status can be reached from it' })
    }
  }
  return errors
}

/** Whether the track can end from there; also when a target is unknown, which is told as such. */
function ends(track: CheckedTrack, status: string): boolean {
  const open = [status]
  const seen = new Set<string>()
  for (let current = open.pop(); current !== undefined; current = open.pop()) {
    if (track.final.has(current) || !track.graph.indexes.has(current)) return true
    if (seen.has(current)) continue
    seen.add(current)
    open.push(...(track.transitions.get(current) ?? []))
  }
  return false
}

/** Each transition that closes a cycle, as a depth-first walk from the initial status meets them. */
function checkCycles(track: CheckedTrack, at: At): DefinitionError[] {
  if (track.graph.order !== null) return []
  const errors: DefinitionError[] = []
  const walked = new Map<string, 'open' | 'done'>()
  // As deep as a path is long: at most `statusesPerTrackMax`.
  const walk = (status: string): void => {
    walked.set(status, 'open')
    for (const [index, target] of (track.transitions.get(status) ?? []).entries()) {
      if (walked.get(target) === 'open') {
        const detail = 'closes a cycle, which a pipeline that advances out of order cannot have'
        errors.push({ pointer: at('transitions', status, index), detail })
      } else if (!walked.has(target)) {
        walk(target)
      }
    }
    walked.set(status, 'done')
  }
  for (const status of [track.initial, ...track.graph.statuses]) if (!walked.has(status)) walk(status)
  return errors
}
