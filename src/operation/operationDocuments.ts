import { afterPatch, bounded, type DeletedPaths, withoutPresent } from './deletedPaths.ts'
import type { Document } from './document.ts'
import { emptyObject, type JsonObject } from './json.ts'
import { fillAbsent, hasNulls, mergePatch } from './mergePatch.ts'

/** An operation's two documents, and what is remembered of what was deleted from them. */
export interface OperationDocuments {
  readonly data: Document
  readonly metadata: Document
  /** See `OperationState.deleted`. */
  readonly deleted: DeletedPaths | null
}

/** What one report carries for them: merge patches (RFC 7396). */
export interface DocumentPatches {
  readonly data?: JsonObject
  readonly metadata?: JsonObject
}

/** The patches as JSON text, where they are at hand. */
export interface DocumentTexts {
  readonly data?: string
  readonly metadata?: string
}

const noTexts: DocumentTexts = {}

/** After an applied report: merges its patches, and remembers what they say is gone. `before` itself when nothing changes. */
export function merged(
  before: OperationDocuments,
  { data, metadata }: DocumentPatches,
  texts: DocumentTexts = noTexts,
): OperationDocuments {
  if (data === undefined && metadata === undefined) return before
  const after = {
    data: data === undefined ? before.data : before.data.patched(data, mergePatch, texts.data),
    metadata: metadata === undefined ? before.metadata : before.metadata.patched(metadata, mergePatch, texts.metadata),
    deleted: before.deleted,
  }
  if (before.deleted !== null) {
    const remembered = {
      data: remember(before.deleted.data, before.data, data, texts.data),
      metadata: remember(before.deleted.metadata, before.metadata, metadata, texts.metadata),
    }
    const { deleted } = before
    if (remembered.data !== deleted.data || remembered.metadata !== deleted.metadata)
      after.deleted = bounded(remembered)
  }
  return same(before, after) ? before : after
}

/** Nearly no patch deletes anything, and its text says so at once. */
function remember(
  tree: JsonObject,
  document: Document,
  patch: JsonObject | undefined,
  text: string | undefined,
): JsonObject {
  if (patch === undefined) return tree
  if (tree === emptyObject && (text === undefined ? !hasNulls(patch) : !text.includes(':null'))) return tree
  const after = afterPatch(tree, document.value, patch)
  return Object.keys(after).length === 0 ? emptyObject : after
}

/** Whether a report with these patches would change something: the deletion of a member that was absent is a change, too. */
export function changes(before: OperationDocuments, patches: DocumentPatches): boolean {
  const after = merged(before, patches)
  if (after === before) return false
  // Once too much is remembered, nothing is: then a null for an absent member changes nothing.
  return after.data !== before.data || after.metadata !== before.metadata || after.deleted !== null
}

/**
 * After a report that came too late, or an open after the first report: adds what is absent, and brings back nothing that
 * was deleted. Adds nothing once deleted paths are no longer remembered.
 */
export function filled(
  before: OperationDocuments,
  patches: DocumentPatches,
  texts: DocumentTexts = noTexts,
): OperationDocuments {
  const { deleted } = before
  if (deleted === null) return before
  return withFilled(before, patches, texts, deleted)
}

/** As `filled`, by the rules of schema versions 1 and 2: what was deleted comes back. */
export function filledAsThen(
  before: OperationDocuments,
  patches: DocumentPatches,
  texts: DocumentTexts = noTexts,
): OperationDocuments {
  const after = withFilled(before, patches, texts, undefined)
  if (after === before || before.deleted === null) return after
  const { data, metadata } = before.deleted
  if (data === emptyObject && metadata === emptyObject) return after
  const deleted = {
    data: withoutPresent(data, after.data.value),
    metadata: withoutPresent(metadata, after.metadata.value),
  }
  return { ...after, deleted: deleted.data === data && deleted.metadata === metadata ? before.deleted : deleted }
}

function withFilled(
  before: OperationDocuments,
  { data, metadata }: DocumentPatches,
  texts: DocumentTexts,
  deleted: DeletedPaths | undefined,
): OperationDocuments {
  const fill = (gone: JsonObject | undefined) => (target: JsonObject, patch: JsonObject) =>
    fillAbsent(target, patch, gone)
  const after = {
    data: data === undefined ? before.data : before.data.patched(data, fill(deleted?.data), texts.data),
    metadata:
      metadata === undefined
        ? before.metadata
        : before.metadata.patched(metadata, fill(deleted?.metadata), texts.metadata),
    deleted: before.deleted,
  }
  return same(before, after) ? before : after
}

function same(one: OperationDocuments, other: OperationDocuments): boolean {
  return one.data === other.data && one.metadata === other.metadata && one.deleted === other.deleted
}
