import { emptyObject, isJsonObject, type Json, type JsonObject, sameJson } from './json.ts'

/**
 * Merge patch (RFC 7396) of an object onto an object. Never changes its arguments; what is not touched is shared with
 * them, and the target itself is returned when the patch changes nothing. Members named `__proto__` are plain members.
 */
export function mergePatch(target: JsonObject, patch: JsonObject): JsonObject {
  let result: Record<string, Json> | null = null
  for (const member of Object.keys(patch)) {
    const value = patch[member] ?? null
    const current = Object.hasOwn(target, member) ? (target[member] ?? null) : undefined
    if (value === null) {
      if (current === undefined) continue
      result ??= { ...target }
      delete result[member]
      continue
    }
    const merged = mergedMember(current, value)
    if (merged === current) continue
    result ??= { ...target }
    setMember(result, member, merged)
  }
  return result ?? target
}

function mergedMember(current: Json | undefined, value: Json): Json {
  if (isJsonObject(value)) return isJsonObject(current) ? mergePatch(current, value) : withoutNulls(value)
  return current !== undefined && sameJson(current, value) ? current : value
}

/**
 * Like `mergePatch`, but only adds members that are absent, at any depth: it never overwrites and never deletes one.
 * A member that is there with the value null is there.
 */
export function fillAbsent(target: JsonObject, patch: JsonObject): JsonObject {
  let result: Record<string, Json> | null = null
  for (const member of Object.keys(patch)) {
    const value = patch[member] ?? null
    if (value === null) continue
    const current = Object.hasOwn(target, member) ? (target[member] ?? null) : undefined
    const filled = filledMember(current, value)
    if (filled === current) continue
    result ??= { ...target }
    setMember(result, member, filled)
  }
  return result ?? target
}

function filledMember(current: Json | undefined, value: Json): Json {
  if (current === undefined) return isJsonObject(value) ? withoutNulls(value) : value
  return isJsonObject(current) && isJsonObject(value) ? fillAbsent(current, value) : current
}

/** What a patch leaves where nothing was: RFC 7396 drops nulls in objects at any depth, and keeps those in arrays. */
function withoutNulls(patch: JsonObject): JsonObject {
  return hasNulls(patch) ? mergePatch(emptyObject, patch) : patch
}

function hasNulls(patch: JsonObject): boolean {
  for (const member of Object.keys(patch)) {
    const value = patch[member]
    if (value === null || (isJsonObject(value) && hasNulls(value))) return true
  }
  return false
}

/** Assignment to `__proto__` would set the prototype and lose the member. */
function setMember(object: Record<string, Json>, member: string, value: Json): void {
  if (member === '__proto__') {
    Object.defineProperty(object, member, { value, writable: true, enumerable: true, configurable: true })
    return
  }
  object[member] = value
}
