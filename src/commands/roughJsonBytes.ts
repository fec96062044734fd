import type { Json } from '../operation/json.ts'

/**
 * What a JSON value takes in memory, roughly, by walking it: printing it would cost several times as much, and a bound on
 * memory needs no exact number. Members' names are counted though V8 shares those of like objects.
 */
export function roughJsonBytes(value: Json): number {
  if (typeof value === 'string') return 16 + value.length
  if (typeof value !== 'object' || value === null) return 8
  let bytes = 32
  if (isArray(value)) {
    for (const item of value) bytes += 8 + roughJsonBytes(item)
    return bytes
  }
  for (const member in value) {
    const item = value[member]
    bytes += 16 + member.length + (typeof item === 'string' ? 16 + item.length : roughJsonBytes(item ?? null))
  }
  return bytes
}

/** `Array.isArray` does not tell a read-only array from an object. */
const isArray = (value: Json): value is readonly Json[] => Array.isArray(value)
