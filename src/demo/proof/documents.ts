import { isObject, type Json, type JsonObject, sameJson } from '../json.ts'
import { mergePatch } from './mergePatch.ts'

/** An operation's two documents and, as paths, the members that patches said are gone. */
export interface Documents {
  readonly data: JsonObject
  readonly metadata: JsonObject
  /** Each path as the JSON text of its members, the document's name first; null once there were too many to remember. */
  readonly deleted: ReadonlySet<string> | null
}

export interface Patches {
  readonly data?: JsonObject
  readonly metadata?: JsonObject
}

const pathsMax = 1_000
const pathBytesMax = 32 * 1024
const names = ['data', 'metadata'] as const

/** What a report that is applied makes of them. */
export function merge(before: Documents, patches: Patches): Documents {
  const after = { data: before.data, metadata: before.metadata }
  const deleted = new Set(before.deleted)
  for (const name of names) {
    const patch = patches[name]
    if (patch === undefined) continue
    after[name] = mergePatch(before[name], patch)
    remember(deleted, before[name], patch, [name])
  }
  if (before.deleted === null) return { ...after, deleted: null }
  return { ...after, deleted: isTooMuch(deleted) ? null : deleted }
}

/** What one that came too late adds: members that are absent and were not deleted, at any depth. */
export function fill(before: Documents, patches: Patches): Documents {
  const { deleted } = before
  if (deleted === null) return before
  return {
    data: patches.data === undefined ? before.data : filled(before.data, patches.data, deleted, ['data']),
    metadata:
      patches.metadata === undefined
        ? before.metadata
        : filled(before.metadata, patches.metadata, deleted, ['metadata']),
    deleted,
  }
}

/** Whether a report with these patches says something new. */
export function wouldChange(before: Documents, patches: Patches): boolean {
  const after = merge(before, patches)
  if (!sameJson(after.data, before.data) || !sameJson(after.metadata, before.metadata)) return true
  if (before.deleted === null || after.deleted === null) return false
  return after.deleted.size !== before.deleted.size || [...after.deleted].some((path) => !before.deleted?.has(path))
}

type Path = readonly string[]

/** A null is remembered; what is set is forgotten, and unless two objects are merged, all below it. */
function remember(deleted: Set<string>, target: JsonObject, patch: JsonObject, path: Path): void {
  for (const [member, value] of Object.entries(patch)) {
    const at = [...path, member]
    const current = Object.hasOwn(target, member) ? target[member] : undefined
    if (isObject(value) && isObject(current)) {
      remember(deleted, current, value, at)
      continue
    }
    const below = `${JSON.stringify(at).slice(0, -1)},`
    for (const known of deleted) if (known === JSON.stringify(at) || known.startsWith(below)) deleted.delete(known)
    if (value === null) deleted.add(JSON.stringify(at))
    else if (isObject(value)) remember(deleted, {}, value, at)
  }
}

function isTooMuch(deleted: ReadonlySet<string>): boolean {
  let bytes = 0
  for (const path of deleted) {
    const [, ...members]: string[] = JSON.parse(path)
    for (const member of members) bytes += 1 + Buffer.byteLength(member)
  }
  return deleted.size > pathsMax || bytes > pathBytesMax
}

function filled(target: JsonObject, late: JsonObject, deleted: ReadonlySet<string>, path: Path): JsonObject {
  const result: Record<string, Json> = { ...target }
  for (const [member, value] of Object.entries(late)) {
    const at = [...path, member]
    if (value === null || deleted.has(JSON.stringify(at))) continue
    const present = result[member]
    if (!Object.hasOwn(result, member)) result[member] = isObject(value) ? mergePatch({}, value) : value
    else if (isObject(present) && isObject(value)) result[member] = filled(present, value, deleted, at)
  }
  return result
}
