import { canonicalJson } from './canonicalJson.ts'
import { checkDefinition } from './definitionCheck.ts'
import { type DefinitionError, parseDefinition } from './definitionParse.ts'
import { isJsonObject } from './json.ts'
import type { PipelineDefinition, TrackDefinition } from './pipeline.ts'

export type NormaliseResult =
  | { readonly kind: 'valid'; readonly definition: PipelineDefinition }
  /** `definition`: its long form, where it has one: an earlier version of these rules may have accepted it. */
  | {
      readonly kind: 'invalid'
      readonly errors: readonly DefinitionError[]
      readonly definition: PipelineDefinition | null
    }

/**
 * Checks a definition as a caller sent it, short form or long, and brings it into the long form with all defaults.
 * Errors point into the caller's definition; at most 100 are given. Names' and numbers' bounds: `definitionBounds`.
 */
export function normaliseDefinition(input: unknown): NormaliseResult {
  const parsed = parseDefinition(input)
  if (parsed.kind === 'invalid') return { ...parsed, definition: null }
  const errors = checkDefinition(parsed.definition)
  const tracks = Object.entries(parsed.definition.tracks).map(([name, track]) => [name, withoutEmpty(track)])
  const definition = { ...parsed.definition, tracks: Object.fromEntries(tracks) }
  return errors.length > 0 ? { kind: 'invalid', errors, definition } : { kind: 'valid', definition }
}

/** A final status may be written with an empty list of transitions, or without: the long form has none. */
function withoutEmpty(track: TrackDefinition): TrackDefinition {
  const transitions = Object.entries(track.transitions).filter(([, targets]) => targets.length > 0)
  return { ...track, transitions: Object.fromEntries(transitions) }
}

/** True when both say the same: the order of members, of a status's transitions and of a condition's statuses is no matter. */
export function sameDefinition(left: PipelineDefinition, right: PipelineDefinition): boolean {
  return canonicalJson(unordered(left)) === canonicalJson(unordered(right))
}

/** With every array in one order: all of a definition's arrays are sets. */
function unordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => canonicalJson(unordered(item))).sort()
  if (!isJsonObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([member, item]) => [member, unordered(item)]))
}
