import type { FinalOutcome } from './events.ts'
import { isJsonObject, type JsonObject } from './json.ts'
import { namePattern, printablePattern } from './names.ts'
import type { OutOfOrder, PipelineDefinition, TrackCondition, TrackDefinition } from './pipeline.ts'

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
  const definition = new Reader(errors).definition(input)
  return definition === null || errors.length > 0
    ? { kind: 'invalid', errors: errors.slice(0, definitionBounds.errorsMax) }
    : { kind: 'parsed', definition }
}

export function pointer(...path: readonly (string | number)[]): string {
  return path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

type Path = readonly (string | number)[]

/** Reads values, or notes at their path why they cannot be read and gives null. */
class Reader {
  readonly #errors: DefinitionError[]

  constructor(errors: DefinitionError[]) {
    this.#errors = errors
  }

  definition(input: unknown): PipelineDefinition | null {
    const members = ['statuses', 'tracks', 'outOfOrder', 'lateData', 'recordIgnored']
    const object = this.#object(input, [], members)
    if (object === null) return null
    const outOfOrder = this.#oneOf<OutOfOrder>(object.outOfOrder, ['outOfOrder'], ['reject', 'advance', 'hold'])
    const lateData = this.#oneOf(object.lateData ?? 'fill', ['lateData'], ['fill', 'record'] as const)
    const recordIgnored = this.#boolean(object.recordIgnored ?? true, ['recordIgnored'])
    const short = Object.hasOwn(object, 'statuses')
    if (short === Object.hasOwn(object, 'tracks')) {
      this.#note([], 'needs either `statuses` (one linear track) or `tracks`')
      return null
    }
    const tracks = short ? this.#linear(object.statuses) : this.#tracks(object.tracks)
    if (outOfOrder === null || lateData === null || recordIgnored === null || tracks === null) return null
    return { outOfOrder, lateData, recordIgnored, tracks }
  }

  #linear(value: unknown): Record<string, TrackDefinition> | null {
    const statuses = this.#statuses(value, ['statuses'], definitionBounds.statusesPerTrackMax)
    const initial = statuses?.[0]
    const last = statuses?.at(-1)
    if (statuses === null || initial === undefined || last === undefined) return null
    const transitions = statuses.slice(0, -1).map((status, index) => [status, statuses.slice(index + 1, index + 2)])
    return { main: { initial, transitions: Object.fromEntries(transitions), final: single(last, 'succeeded') } }
  }

  #tracks(value: unknown): Record<string, TrackDefinition> | null {
    const object = this.#object(value, ['tracks'])
    if (object === null) return null
    const names = Object.keys(object)
    if (names.length === 0) this.#note(['tracks'], 'needs at least one track')
    if (!this.#within(names.length, definitionBounds.tracksMax, ['tracks'], 'tracks')) return null
    let conditions = 0
    const tracks = names.map((name): [string, TrackDefinition] | null => {
      const path = ['tracks', name]
      if (!namePattern.test(name)) {
        this.#note(path, 'a track is called by 1 to 64 letters, digits, `_` and `-`, a letter or digit first')
        return null
      }
      const track = this.#track(object[name], path)
      for (const join of Object.values(track?.requires ?? {})) conditions += join.length
      return track === null ? null : [name, track]
    })
    this.#within(conditions, definitionBounds.conditionsMax, ['tracks'], 'conditions of joins')
    return tracks.includes(null) ? null : Object.fromEntries(tracks.filter((track) => track !== null))
  }

  #track(value: unknown, path: Path): TrackDefinition | null {
    const object = this.#object(value, path, ['initial', 'transitions', 'final', 'startsWhen', 'requires'])
    if (object === null) return null
    const initial = this.#status(object.initial, [...path, 'initial'])
    const transitions = this.#transitions(object.transitions, [...path, 'transitions'])
    const final = this.#record(object.final, [...path, 'final'], (outcome, at) =>
      this.#oneOf<FinalOutcome>(outcome, at, ['succeeded', 'failed']),
    )
    const startsWhen = Object.hasOwn(object, 'startsWhen')
      ? this.#condition(object.startsWhen, [...path, 'startsWhen'])
      : undefined
    const requires = Object.hasOwn(object, 'requires')
      ? this.#record(object.requires, [...path, 'requires'], (join, at) => this.#join(join, at))
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

  #transitions(value: unknown, path: Path): Record<string, readonly string[]> | null {
    const { transitionsPerTrackMax, statusesPerTrackMax } = definitionBounds
    const transitions = this.#record(value, path, (targets, at) => this.#statuses(targets, at, statusesPerTrackMax, 0))
    if (transitions === null) return null
    const count = Object.values(transitions).reduce((sum, targets) => sum + targets.length, 0)
    return this.#within(count, transitionsPerTrackMax, path, 'transitions') ? transitions : null
  }

  #join(value: unknown, path: Path): readonly TrackCondition[] | null {
    const conditions = this.#array(value, path, definitionBounds.conditionsPerJoinMax)
    return conditions === null ? null : this.#all(conditions, (item, index) => this.#condition(item, [...path, index]))
  }

  #condition(value: unknown, path: Path): TrackCondition | null {
    const object = this.#object(value, path, ['track', 'in'])
    if (object === null) return null
    const track = typeof object.track === 'string' ? object.track : null
    if (track === null) this.#note([...path, 'track'], 'names a track')
    const statuses = this.#statuses(object.in, [...path, 'in'], definitionBounds.statusesPerTrackMax)
    return track === null || statuses === null ? null : { track, in: statuses }
  }

  /** An object whose members are statuses. */
  #record<T>(value: unknown, path: Path, read: (value: unknown, path: Path) => T | null): Record<string, T> | null {
    const object = this.#object(value, path)
    if (object === null) return null
    const members = Object.keys(object)
    if (!this.#within(members.length, definitionBounds.statusesPerTrackMax, path, 'statuses')) return null
    const entries = this.#all(members, (member): [string, T] | null => {
      const at = [...path, member]
      const status = this.#status(member, at)
      const item = read(object[member], at)
      return status === null || item === null ? null : [status, item]
    })
    return entries === null ? null : Object.fromEntries(entries)
  }

  #statuses(value: unknown, path: Path, max: number, min = 1): readonly string[] | null {
    const items = this.#array(value, path, max, min)
    if (items === null) return null
    const seen = new Set<string>()
    return this.#all(items, (item, index) => {
      const status = this.#status(item, [...path, index])
      if (status !== null && seen.has(status)) return this.#note([...path, index], 'is there already')
      if (status !== null) seen.add(status)
      return status
    })
  }

  #status(value: unknown, path: Path): string | null {
    if (typeof value === 'string' && printablePattern.test(value)) return value
    return this.#note(path, 'a status is 1 to 128 printable characters')
  }

  #oneOf<T extends string>(value: unknown, path: Path, allowed: readonly T[]): T | null {
    const found = allowed.find((one) => one === value)
    return found ?? this.#note(path, `is one of ${allowed.map((one) => JSON.stringify(one)).join(', ')}`)
  }

  #boolean(value: unknown, path: Path): boolean | null {
    return typeof value === 'boolean' ? value : this.#note(path, 'is true or false')
  }

  #array(value: unknown, path: Path, max: number, min = 1): readonly unknown[] | null {
    if (!Array.isArray(value)) return this.#note(path, 'is an array')
    if (value.length < min || value.length > max) return this.#note(path, `has ${min} to ${max} items`)
    return value
  }

  /** With `members`: only these. */
  #object(value: unknown, path: Path, members?: readonly string[]): JsonObject | null {
    if (!isJsonObject(value)) return this.#note(path, 'is an object')
    for (const member of members === undefined ? [] : Object.keys(value)) {
      if (!members?.includes(member)) this.#note([...path, member], 'is no member known here')
    }
    return value
  }

  #within(count: number, max: number, path: Path, what: string): boolean {
    if (count > max) this.#note(path, `has ${count} ${what}, and may have ${max}`)
    return count <= max
  }

  #all<I, O>(items: readonly I[], read: (item: I, index: number) => O | null): O[] | null {
    const results = items.map(read)
    return results.includes(null) ? null : results.filter((result) => result !== null)
  }

  #note(path: Path, detail: string): null {
    this.#errors.push({ pointer: pointer(...path), detail })
    return null
  }
}

function single(status: string, outcome: FinalOutcome): Record<string, FinalOutcome> {
  return Object.fromEntries([[status, outcome]])
}
