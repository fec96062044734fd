import { emptyObject, isJsonObject, type Json, type JsonObject } from './json.ts'
import { deletedPathBytesMax, deletedPathsMax } from './limits.ts'
import { ownMember, setMember } from './mergePatch.ts'

/**
 * The paths that applied patches set to null and nothing has set since, per document: a tree of objects whose leaves are
 * null, shaped like the patch that would delete them. A member below which paths are remembered is an object in its document;
 * one whose leaf is null is absent from it.
 */
export interface DeletedPaths {
  readonly data: JsonObject
  readonly metadata: JsonObject
}

export const nothingDeleted: DeletedPaths = { data: emptyObject, metadata: emptyObject }

/**
 * What is remembered of one document after `patch` was merged onto `target`: a null is remembered, also of a member that was
 * absent; a member that is set forgets its path and, unless objects are merged, all below it. The tree itself when nothing
 * changes.
 */
export function afterPatch(tree: JsonObject, target: JsonObject, patch: JsonObject): JsonObject {
  let result: Record<string, Json> | null = null
  for (const member of Object.keys(patch)) {
    const value = patch[member] ?? null
    const known = ownMember(tree, member)
    const next =
      value === null ? null : isJsonObject(value) ? belowMember(known, ownMember(target, member), value) : undefined
    if (next === known) continue
    result ??= { ...tree }
    if (next === undefined) delete result[member]
    else setMember(result, member, next)
  }
  return result ?? tree
}

/** Undefined when nothing is remembered below the member. */
function belowMember(known: Json | undefined, current: Json | undefined, patch: JsonObject): JsonObject | undefined {
  const isMerged = isJsonObject(current)
  const before = isMerged && isJsonObject(known) ? known : emptyObject
  const after = afterPatch(before, isMerged ? current : emptyObject, patch)
  return Object.keys(after).length === 0 ? undefined : after
}

/** Without the paths that are there again (only events of older schema versions fill those in). */
export function withoutPresent(tree: JsonObject, document: JsonObject): JsonObject {
  let result: Record<string, Json> | null = null
  for (const member of Object.keys(tree)) {
    const current = ownMember(document, member)
    if (current === undefined) continue
    const known = tree[member] ?? null
    const next = isJsonObject(known) && isJsonObject(current) ? withoutPresent(known, current) : emptyObject
    if (next === known) continue
    result ??= { ...tree }
    if (Object.keys(next).length === 0) delete result[member]
    else setMember(result, member, next)
  }
  return result ?? tree
}

/** Null when there are too many paths to remember. */
export function bounded(deleted: DeletedPaths): DeletedPaths | null {
  const size = { paths: 0, bytes: 0 }
  measure(deleted.data, 0, size)
  measure(deleted.metadata, 0, size)
  return size.paths > deletedPathsMax || size.bytes > deletedPathBytesMax ? null : deleted
}

/** Counts JSON pointers (RFC 6901), without their escapes. */
function measure(tree: JsonObject, prefixBytes: number, size: { paths: number; bytes: number }): void {
  for (const member of Object.keys(tree)) {
    const bytes = prefixBytes + 1 + Buffer.byteLength(member)
    const below = tree[member] ?? null
    if (isJsonObject(below)) measure(below, bytes, size)
    else {
      size.paths += 1
      size.bytes += bytes
    }
  }
}
