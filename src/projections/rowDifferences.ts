import { createHash } from 'node:crypto'
import { canonicalJson } from '../operation/canonicalJson.ts'
import { isJsonObject, type JsonObject } from '../operation/json.ts'
import type { OperationState } from '../operation/state.ts'
import type { StoredRow } from './auditRows.ts'
import { facetsOf } from './facets.ts'
import { stateColumn } from './operationState.ts'
import type { Shape, Shapes } from './shape.ts'
import { timesOf } from './times.ts'

/** One thing that the read model and the log do not agree on. Positions and revisions as they are, all else as a digest. */
export interface Difference {
  /** A column, or `column.member`. */
  readonly field: string
  /** What the read model has; null: nothing. */
  readonly row: string | null
  /** What the log comes to; null: nothing. */
  readonly log: string | null
}

/**
 * Holds a row against the fold of its stream, whose last event is at `position`, column by column. Documents are the same
 * when they are equal as JSON.
 */
export function rowDifferences(row: StoredRow, state: OperationState, position: bigint, shapes: Shapes): Difference[] {
  const shape = shapes.of(state)
  const { updatedAtMs, openedAtMs, sinceAtMs, heardAtMs } = timesOf(state)
  const found = [
    difference('position', row.position, position),
    difference('updated_at', row.updatedAt, BigInt(updatedAtMs)),
    difference('opened_at', row.openedAt, BigInt(openedAtMs)),
    difference('since_at', row.sinceAt, BigInt(sinceAtMs)),
    difference('heard_at', row.heardAt, heardAtMs === null ? null : BigInt(heardAtMs)),
    difference('standings', canonical(row.standings), canonicalJson(standingRows(state, shape))),
    difference('shape', row.shape, shape.id),
    difference('shapes.pipeline', row.shapeRow?.pipeline ?? null, shape.pipeline),
    difference('shapes.state', row.shapeRow?.state ?? null, shape.state),
    difference('shapes.tracks', canonical(row.shapeRow?.tracks), canonical(JSON.parse(shape.tracks))),
    difference('shapes.flags', canonical(row.shapeRow?.flags), canonicalJson(shapeFlags(shape))),
    difference('facets', facetsText(row.facets ?? []), facetsText(facetsOf(state, shape))),
    difference('data', canonicalText(row.data), canonicalJson(state.data.value)),
    difference('metadata', canonicalText(row.metadata), canonicalJson(state.metadata.value)),
    ...stateDifferences(row.state, stateColumn(state)),
  ]
  return found.filter((one) => one !== null)
}

/** What `StoredShape.flags` is to be. */
export function shapeFlags({ blocked, held, failed, since, heard, changedTracks, standings }: Shape): JsonObject {
  const hashes = Object.fromEntries([...standings].map(([track, standing]) => [track, String(standing)]))
  return { blocked, held, failed, since, heard, changedTracks: [...changedTracks], standings: hashes }
}

/** What `StoredRow.standings` is to be. */
export function standingRows({ tracks, updatedAt }: OperationState, { standings }: Shape): JsonObject {
  return Object.fromEntries(
    [...standings].map(([track, standing]) => [
      track,
      [String(standing), String(Date.parse(tracks[track]?.since ?? updatedAt))],
    ]),
  )
}

/** Null when the two are the same. */
export function difference(field: string, row: string | bigint | null, log: string | bigint | null): Difference | null {
  return row === log ? null : { field, row: shown(row), log: shown(log) }
}

/** JSON text that is the same for values that are equal as JSON; null for none. */
export function canonical(value: unknown): string | null {
  return value === undefined || value === null ? null : canonicalJson(value)
}

/** By the members that there should be; of a row that has others, only that it does: their names may be anything. */
function stateDifferences(stored: string, expected: string): (Difference | null)[] {
  const row = parsed(stored)
  const fold: unknown = JSON.parse(expected)
  if (!isJsonObject(row) || !isJsonObject(fold)) return [difference('state', stored, expected)]
  const members = Object.keys(fold)
  const stray = Object.keys(row).some((member) => !Object.hasOwn(fold, member))
  return [
    stray ? difference('state', stored, expected) : null,
    ...members.map((member) =>
      difference(
        `state.${member}`,
        Object.hasOwn(row, member) ? canonicalJson(row[member]) : null,
        canonicalJson(fold[member]),
      ),
    ),
  ]
}

/** A text that is no JSON stands for itself: it equals none that is. */
function canonicalText(text: string): string {
  const value = parsed(text)
  return value === undefined ? text : canonicalJson(value)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function facetsText(facets: readonly number[]): string {
  return [...facets].sort((one, other) => one - other).join(',')
}

function shown(value: string | bigint | null): string | null {
  if (typeof value === 'bigint') return String(value)
  return value === null ? null : `sha256:${createHash('sha256').update(value).digest('hex').slice(0, 12)}`
}
