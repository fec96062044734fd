import type { JsonObject } from '../../operation/json.ts'
import type { OperationState } from '../../operation/state.ts'
import { isBlocked } from '../../operation/view.ts'
import type { OneOrMore, OperationQuery, OperationRow } from '../readModel.ts'
import { schemaName } from '../schemaName.ts'

/**
 * What a list asks for, apart from its order, its pages, and the times that an operation comes to match by waiting: no event
 * tells of that.
 */
export type OperationFilter = Omit<
  OperationQuery,
  'sort' | 'pageSize' | 'after' | 'sinceAfter' | 'sinceBefore' | 'heardBefore'
>

/** What filters ask of an operation. */
export interface OperationTraits {
  readonly id: string
  readonly pipeline: string
  readonly state: string
  readonly theme: string | null
  /** Status (null: none yet) by track. */
  readonly tracks: ReadonlyMap<string, string | null>
  readonly held: boolean
  readonly blocked: boolean
  /** Whether a track has failed. */
  readonly failed: boolean
  readonly metadata: JsonObject
  readonly updatedAt: string
}

export interface ChangedOperation {
  readonly row: OperationRow
  /** Position of the event that made the row what it is: its last one, the one it is parked at, or the last skip or retry. */
  readonly changedAt: bigint
  readonly traits: OperationTraits
}

/** Rows by id, the checkpoint beside each. Ids without a row are left out. */
export const changedOperationsStatement = {
  name: 'changed_operations',
  text: `
    SELECT c.position AS checkpoint, c.log_id, o.id, o.state, o.data, o.metadata, o.revision, o.position AS at, o.updated_at,
           o.opened_at, p.revision AS parked_revision, p.reason AS parked_reason, p.position AS parked_at,
           o.revisited_at
    FROM ${schemaName}.checkpoints c
    LEFT JOIN ${schemaName}.operations o ON o.id = ANY ($1::text[])
    LEFT JOIN ${schemaName}.parked p ON p.stream = 'operation-' || o.id
    WHERE c.name = 'operations'`,
}

export function changedOperation(
  row: OperationRow,
  operation: OperationState,
  columns: { readonly parked_at: bigint | null; readonly revisited_at: bigint | null },
): ChangedOperation {
  const { pipeline, state, theme, tracks, held, metadata } = operation
  return {
    row,
    changedAt: latest(columns.parked_at ?? row.position, columns.revisited_at ?? 0n),
    traits: {
      id: row.id,
      pipeline: pipeline.name,
      state,
      theme,
      tracks: new Map(Object.entries(tracks).map(([name, track]) => [name, track.status])),
      held: held.length > 0,
      blocked: isBlocked(operation),
      failed: Object.values(tracks).some(({ outcome }) => outcome === 'failed'),
      metadata: metadata.value,
      updatedAt: row.updatedAt,
    },
  }
}

const latest = (one: bigint, other: bigint) => (one > other ? one : other)

/** The same answer as the list's (listQuery.ts); a test holds one against the other. */
export function matchesFilter(filter: OperationFilter, traits: OperationTraits): boolean {
  const { theme, metadata, updatedAfter, updatedBefore } = filter
  if (!mayEverMatch(filter, traits) || !standsAsAsked(filter, traits)) return false
  if (theme !== undefined && traits.theme !== theme) return false
  if (metadata !== undefined && !Object.entries(metadata).every(([name, value]) => hasMember(traits, name, value))) {
    return false
  }
  const updatedAt = Date.parse(traits.updatedAt)
  if (updatedAfter !== undefined && updatedAt <= Date.parse(updatedAfter)) return false
  return updatedBefore === undefined || updatedAt < Date.parse(updatedBefore)
}

/** What the shapes answer in a list. */
function standsAsAsked(filter: OperationFilter, traits: OperationTraits): boolean {
  const { track, status, state, held, blocked, anyTrack } = filter
  if (state !== undefined && !isOneOf(state, traits.state)) return false
  if (held !== undefined && traits.held !== held) return false
  if (blocked !== undefined && traits.blocked !== blocked) return false
  if (anyTrack === 'failed' && !traits.failed) return false
  if (track === undefined)
    return status === undefined || [...traits.tracks.values()].some((now) => isOneOf(status, now))
  return traits.tracks.has(track) && (status === undefined || isOneOf(status, traits.tracks.get(track) ?? null))
}

function isOneOf(asked: OneOrMore<string>, value: string | null): boolean {
  return value !== null && (asked === value || (typeof asked !== 'string' && asked.includes(value)))
}

/** False when what an operation is born with keeps it out for good: then it never matched either. */
export function mayEverMatch({ pipeline, idPrefix, theme }: OperationFilter, traits: OperationTraits): boolean {
  if (pipeline !== undefined && !isOneOf(pipeline, traits.pipeline)) return false
  // An operation that a report opened may get its theme later, once.
  if (theme !== undefined && traits.theme !== null && traits.theme !== theme) return false
  return idPrefix === undefined || traits.id.startsWith(idPrefix)
}

function hasMember({ metadata }: OperationTraits, name: string, value: string): boolean {
  const member = Object.hasOwn(metadata, name) ? metadata[name] : undefined
  if (typeof member === 'number' || typeof member === 'boolean') return String(member) === value
  return member === value
}
