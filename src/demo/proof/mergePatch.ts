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
