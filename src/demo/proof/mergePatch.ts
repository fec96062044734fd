import { isObject, type Json, type JsonObject } from '../json.ts'

/** RFC 7396: members of `patch` replace those of `target`, null deletes, objects are merged. */
export function mergePatch(target: Json | undefined, patch: JsonObject): JsonObject {
  const merged: Record<string, Json> = isObject(target) ? { ...target } : {}
  for (const [member, value] of Object.entries(patch)) {
    if (value === null) delete merged[member]
    else merged[member] = isObject(value) ? mergePatch(merged[member], value) : value
  }
  return merged
}

/** What an overtaken report may still add: members that are absent, at any depth. Nothing is overwritten or deleted. */
export function fill(target: JsonObject, late: JsonObject): JsonObject {
  const filled: Record<string, Json> = { ...target }
  for (const [member, value] of Object.entries(late)) {
    const present = filled[member]
    if (!Object.hasOwn(filled, member)) {
      if (value !== null) filled[member] = isObject(value) ? mergePatch({}, value) : value
    } else if (isObject(present) && isObject(value)) filled[member] = fill(present, value)
  }
  return filled
}
