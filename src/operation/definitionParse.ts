import type { FinalOutcome } from './events.ts'
import { isJsonObject, type JsonObject } from './json.ts'
import { namePattern, printablePattern } from './names.ts'
import type { OrderBy, OutOfOrder, PipelineDefinition, TrackCondition, TrackDefinition } from './pipeline.ts'

export interface DefinitionError {
  /** JSON pointer (RFC 6901) into the definition as it was sent. */
  readonly pointer: string
  readonly detail: string
}

/** How large a definition may be. */
export const definitionBounds = {
  tracksMax: 32,
  statusesPerTrackMax: 128,
  transitionsPerTrackMax: 1_024,
  /** Conditions of one status's join. */
  conditionsPerJoinMax: 8,
  /** Conditions of all joins together. */
  conditionsMax: 256,
  /** Errors that are told of one definition. */
  errorsMax: 100,
} as const

export type ParsedDefinition =
  | { readonly kind: 'parsed'; readonly definition: PipelineDefinition }
  | { readonly kind: 'invalid'; readonly errors: readonly DefinitionError[] }

/**
 * Reads the shape of a definition, short form or long: members, kinds, formats of names, repeats and bounds. What the names
 * mean to each other is checked after (definitionCheck.ts). Written by hand, as statuses are members here and may be called
 * `__proto__`, and as its errors must point into both forms.
 */
export function parseDefinition(input: unknown): ParsedDefinition {
  const errors: DefinitionError[] = []
  const definition = readDefinition((path, detail) => {
    errors.push({ pointer: pointer(...path), detail })
    return null
  }, input)
  return definition === null || errors.length > 0
    ? { kind: 'invalid', errors: errors.slice(0, definitionBounds.errorsMax) }
    : { kind: 'parsed', definition }
}

export function pointer(...path: readonly (string | number)[]): string {
  return path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

type Path = readonly (string | number)[]

/** Says what is wrong at a place. Gives null, which is what a reader gives for what it cannot read. */
type Note = (path: Path, detail: string) => null

function readDefinition(note: Note, input: unknown): PipelineDefinition | null {
  const members = ['statuses', 'tracks', 'outOfOrder', 'lateData', 'recordIgnored', 'orderBy']
  const object = readObject(note, input, [], members)
  if (object === null) return null
  const outOfOrder = readOneOf<OutOfOrder>(note, object.outOfOrder, ['outOfOrder'], ['reject', 'advance', 'hold'])
  const lateData = readOneOf(note, object.lateData === undefined ? 'fill' : object.lateData, ['lateData'], [
    'fill',
    'record',
  ] as const)
  const recordIgnored = readBoolean(note, object.recordIgnored === undefined ? true : object.recordIgnored, [
    'recordIgnored',
  ])
  const orderBy = readOneOf<OrderBy>(
    note,
    object.orderBy === undefined ? 'sequence' : object.orderBy,
    ['orderBy'],
    ['sequence', 'observedAt'],
  )
  const short = Object.hasOwn(object, 'statuses')
  if (short === Object.hasOwn(object, 'tracks')) {
    note([], 'needs either `statuses` (one linear track) or `tracks`')
    return null
  }
  const tracks = short ? readLinear(note, object.statuses) : readTracks(note, object.tracks)
  if (outOfOrder === null || lateData === null || recordIgnored === null || orderBy === null || tracks === null) {
    return null
  }
  // A default that came later is not written: a definition recorded before it stays the same one.
  return { outOfOrder, lateData, recordIgnored, ...(orderBy === 'sequence' ? null : { orderBy }), tracks }
}

function readLinear(note: Note, value: unknown): Record<string, TrackDefinition> | null {
  const statuses = readStatuses(note, value, ['statuses'], definitionBounds.statusesPerTrackMax)
  const initial = statuses?.[0]
  const last = statuses?.at(-1)
  if (statuses === null || initial === undefined || last === undefined) return null
  const transitions = statuses.slice(0, -1).map((status, index) => [status, statuses.slice(index + 1, index + 2)])
  return { main: { initial, transitions: Object.fromEntries(transitions), final: single(last, 'succeeded') } }
}

function readTracks(note: Note, value: unknown): Record<string, TrackDefinition> | null {
  const object = readObject(note, value, ['tracks'])
  if (object === null) return null
  const names = Object.keys(object)
  if (names.length === 0) note(['tracks'], 'needs at least one track')
  if (!isWithin(note, names.length, definitionBounds.tracksMax, ['tracks'], 'tracks')) return null
  let conditions = 0
  const tracks = names.map((name): [string, TrackDefinition] | null => {
    const path = ['tracks', name]
    if (!namePattern.test(name)) {
      note(path, 'a track is called by 1 to 64 letters, digits, `_` and `-`, a letter or digit first')
      return null
    }
    const track = readTrack(note, object[name], path)
    for (const join of Object.values(track?.requires ?? {})) conditions += join.length
    return track === null ? null : [name, track]
  })
  isWithin(note, conditions, definitionBounds.conditionsMax, ['tracks'], 'conditions of joins')
  return tracks.includes(null) ? null : Object.fromEntries(tracks.filter((track) => track !== null))
}

function readTrack(note: Note, value: unknown, path: Path): TrackDefinition | null {
  const object = readObject(note, value, path, ['initial', 'transitions', 'final', 'startsWhen', 'requires'])
  if (object === null) return null
  const initial = readStatus(note, object.initial, [...path, 'initial'])
  const transitions = readTransitions(note, object.transitions, [...path, 'transitions'])
  const final = readRecord(note, object.final, [...path, 'final'], (outcome, at) =>
    readOneOf<FinalOutcome>(note, outcome, at, ['succeeded', 'failed']),
  )
  const startsWhen = Object.hasOwn(object, 'startsWhen')
    ? readCondition(note, object.startsWhen, [...path, 'startsWhen'], ['track', 'in'])
    : undefined
  const requires = Object.hasOwn(object, 'requires')
    ? readRecord(note, object.requires, [...path, 'requires'], (join, at) => readJoin(note, join, at))
    : undefined
  if (initial === null || transitions === null || final === null || startsWhen === null || requires === null) {
    return null
  }
  return {
    initial,
    transitions,
    final,
    ...(startsWhen === undefined ? null : { startsWhen }),
    ...(requires === undefined || Object.keys(requires).length === 0 ? null : { requires }),
  }
}

function readTransitions(note: Note, value: unknown, path: Path): Record<string, readonly string[]> | null {
  const { transitionsPerTrackMax, statusesPerTrackMax } = definitionBounds
  const transitions = readRecord(note, value, path, (targets, at) =>
    readStatuses(note, targets, at, statusesPerTrackMax, 0),
  )
  if (transitions === null) return null
  const count = Object.values(transitions).reduce((sum, targets) => sum + targets.length, 0)
  return isWithin(note, count, transitionsPerTrackMax, path, 'transitions') ? transitions : null
}

function readJoin(note: Note, value: unknown, path: Path): readonly TrackCondition[] | null {
  const conditions = readArray(note, value, path, definitionBounds.conditionsPerJoinMax)
  const members = ['track', 'in', 'orSkipped']
  return conditions === null
    ? null
    : readAll(conditions, (item, index) => readCondition(note, item, [...path, index], members))
}

function readCondition(note: Note, value: unknown, path: Path, members: readonly string[]): TrackCondition | null {
  const object = readObject(note, value, path, members)
  if (object === null) return null
  const track = typeof object.track === 'string' ? object.track : null
  if (track === null) note([...path, 'track'], 'names a track')
  const statuses = readStatuses(note, object.in, [...path, 'in'], definitionBounds.statusesPerTrackMax)
  const orSkipped = object.orSkipped === undefined ? false : readBoolean(note, object.orSkipped, [...path, 'orSkipped'])
  if (track === null || statuses === null || orSkipped === null) return null
  return { track, in: statuses, ...(orSkipped ? { orSkipped } : null) }
}

/** An object whose members are statuses. */
function readRecord<T>(
  note: Note,
  value: unknown,
  path: Path,
  read: (value: unknown, path: Path) => T | null,
): Record<string, T> | null {
  const object = readObject(note, value, path)
  if (object === null) return null
  const members = Object.keys(object)
  if (!isWithin(note, members.length, definitionBounds.statusesPerTrackMax, path, 'statuses')) return null
  const entries = readAll(members, (member): [string, T] | null => {
    const at = [...path, member]
    const status = readStatus(note, member, at)
    const item = read(object[member], at)
    return status === null || item === null ? null : [status, item]
  })
  return entries === null ? null : Object.fromEntries(entries)
}

function readStatuses(note: Note, value: unknown, path: Path, max: number, min = 1): readonly string[] | null {
  const items = readArray(note, value, path, max, min)
  if (items === null) return null
  const seen = new Set<string>()
  return readAll(items, (item, index) => {
    const status = readStatus(note, item, [...path, index])
    if (status !== null && seen.has(status)) return note([...path, index], 'is there already')
    if (status !== null) seen.add(status)
    return status
  })
}

function readStatus(note: Note, value: unknown, path: Path): string | null {
  if (typeof value === 'string' && printablePattern.test(value)) return value
  return note(path, 'a status is 1 to 128 printable characters')
}

function readOneOf<T extends string>(note: Note, value: unknown, path: Path, allowed: readonly T[]): T | null {
  const found = allowed.find((one) => one === value)
  return found ?? note(path, `is one of ${allowed.map((one) => JSON.stringify(one)).join(', ')}`)
}

function readBoolean(note: Note, value: unknown, path: Path): boolean | null {
  return typeof value === 'boolean' ? value : note(path, 'is true or false')
}

function readArray(note: Note, value: unknown, path: Path, max: number, min = 1): readonly unknown[] | null {
  if (!Array.isArray(value)) return note(path, 'is an array')
  if (value.length < min || value.length > max) return note(path, `has ${min} to ${max} items`)
  return value
}

/** With `members`: only these. */
function readObject(note: Note, value: unknown, path: Path, members?: readonly string[]): JsonObject | null {
  if (!isJsonObject(value)) return note(path, 'is an object')
  for (const member of members === undefined ? [] : Object.keys(value)) {
    if (!members?.includes(member)) note([...path, member], 'is no member known here')
  }
  return value
}

function isWithin(note: Note, count: number, max: number, path: Path, what: string): boolean {
  if (count > max) note(path, `has ${count} ${what}, and may have ${max}`)
  return count <= max
}

function readAll<I, O>(items: readonly I[], read: (item: I, index: number) => O | null): O[] | null {
  const results = items.map(read)
  return results.includes(null) ? null : results.filter((result) => result !== null)
}

function single(status: string, outcome: FinalOutcome): Record<string, FinalOutcome> {
  return Object.fromEntries([[status, outcome]])
}
