import { emptyObject, isJsonObject, type Json, type JsonObject, sameJson } from './json.ts'
import { membersOf } from './memberOrder.ts'

/**
 * Merge patch (RFC 7396) of an object onto an object. Never changes its arguments; what is not touched is shared with
 * them, and the target itself is returned when the patch changes nothing. Members named `__proto__` are plain members.
 */
export function mergePatch(target: JsonObject, patch: JsonObject): JsonObject {
  return replaced(target, patch) ?? merged(target, patch)
}

/**
 * The first report finds nothing, and a service that reports sends the same members in the same order each time: then
 * nothing of the target is left, and the patch is the result as it stands. Null when it is not so.
 */
function replaced(target: JsonObject, patch: JsonObject): JsonObject | null {
  if (isEmpty(target)) return isEmpty(patch) || hasNulls(patch) ? null : patch
  // Of the same names in the same order, unless they are too many to be remembered.
  if (membersOf(target) !== membersOf(patch)) return null
  let changed = false
  for (const member in patch) {
    const value = patch[member] ?? null
    const current = target[member] ?? null
    if (typeof value !== 'object') {
      if (current !== value) changed = true
    } else {
      if (value === null) return null
      const after = mergedMember(current, value)
      // Equal, but perhaps only in what the patch speaks of.
      if (after !== value) return null
      if (after !== current) changed = true
    }
  }
  return changed ? patch : target
}

function merged(target: JsonObject, patch: JsonObject): JsonObject {
  let result: Record<string, Json> | null = null
  for (const member in patch) {
    const value = patch[member] ?? null
    const current = ownMember(target, member)
    if (value === null) {
      if (current === undefined) continue
      result ??= { ...target }
      delete result[member]
      continue
    }
    const after = mergedMember(current, value)
    if (after === current) continue
    result ??= { ...target }
    setMember(result, member, after)
  }
  return result ?? target
}

function mergedMember(current: Json | undefined, value: Json): Json {
  if (isJsonObject(value)) return isJsonObject(current) ? mergePatch(current, value) : withoutNulls(value)
  return current !== undefined && sameJson(current, value) ? current : value
}

/**
 * Like `mergePatch`, but only adds members that are absent, at any depth: it never overwrites and never deletes one.
 * A member that is there with the value null is there. One that `deleted` names (a tree whose leaves are null) stays away.
 */
export function fillAbsent(target: JsonObject, patch: JsonObject, deleted: JsonObject = emptyObject): JsonObject {
  let result: Record<string, Json> | null = null
  for (const member in patch) {
    const value = patch[member] ?? null
    if (value === null) continue
    const gone = deleted === emptyObject ? undefined : ownMember(deleted, member)
    if (gone === null) continue
    const current = ownMember(target, member)
    const filled = filledMember(current, value, isJsonObject(gone) ? gone : emptyObject)
    if (filled === current) continue
    result ??= { ...target }
    setMember(result, member, filled)
  }
  return result ?? target
}

function filledMember(current: Json | undefined, value: Json, deleted: JsonObject): Json {
  if (current === undefined) return isJsonObject(value) ? withoutNulls(value) : value
  return isJsonObject(current) && isJsonObject(value) ? fillAbsent(current, value, deleted) : current
}

/** What a patch leaves where nothing was: RFC 7396 drops nulls in objects at any depth, and keeps those in arrays. */
function withoutNulls(patch: JsonObject): JsonObject {
  return hasNulls(patch) ? mergePatch(emptyObject, patch) : patch
}

export function hasNulls(patch: JsonObject): boolean {
  for (const member in patch) {
    const value = patch[member]
    if (value === null || (isJsonObject(value) && hasNulls(value))) return true
  }
  return false
}

function isEmpty(object: JsonObject): boolean {
  for (const _ in object) return false
  return true
}

export function ownMember(object: JsonObject, member: string): Json | undefined {
  return Object.hasOwn(object, member) ? (object[member] ?? null) : undefined
}

/** Assignment to `__proto__` would set the prototype and lose the member. */
export function setMember(object: Record<string, Json>, member: string, value: Json): void {
  if (member === '__proto__') {
    Object.defineProperty(object, member, { value, writable: true, enumerable: true, configurable: true })
    return
  }
  object[member] = value
}
