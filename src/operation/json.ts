/** A JSON value as `JSON.parse` makes it. Operation data never holds `undefined`, `NaN` or `bigint`. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject

export interface JsonObject {
  readonly [member: string]: Json
}

/** Shared by all that is empty, so that an untouched document costs nothing. */
export const emptyObject: JsonObject = Object.freeze({})

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** UTF-8 bytes of the value's JSON text. */
export function jsonBytes(value: Json): number {
  return Buffer.byteLength(JSON.stringify(value))
}

/** Equal as JSON: member order does not matter, array order does. */
export function sameJson(left: Json, right: Json): boolean {
  if (left === right) return true
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false
  if (isArray(left)) {
    return (
      isArray(right) &&
      left.length === right.length &&
      left.every((item, index) => sameJson(item, right[index] ?? null))
    )
  }
  if (isArray(right)) return false
  const members = Object.keys(left)
  if (members.length !== Object.keys(right).length) return false
  return members.every(
    (member) => Object.hasOwn(right, member) && sameJson(left[member] ?? null, right[member] ?? null),
  )
}

function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}
