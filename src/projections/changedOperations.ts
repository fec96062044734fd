import { isJsonObject, type JsonObject } from '../operation/json.ts'
import { anyPipeline, type PipelineOf } from '../operation/pipeline.ts'
import { restoreForReading } from '../operation/stateJson.ts'
import type { StateColumns } from './operationState.ts'
import type { OperationQuery, OperationRow } from './readModel.ts'
import { schemaName } from './schemaName.ts'

/** What a list asks for, apart from its order and its pages. */
export type OperationFilter = Omit<OperationQuery, 'sort' | 'pageSize' | 'after'>

/** What filters ask of an operation. */
export interface OperationTraits {
  readonly id: string
  readonly pipeline: string
  readonly state: string
  readonly theme: string | null
  /** Status (null: none yet) by track. */
  readonly tracks: ReadonlyMap<string, string | null>
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
  columns: StateColumns & { readonly parked_at: bigint | null; readonly revisited_at: bigint | null },
): ChangedOperation {
  const restored = restoreForReading(columns.state, namedPipeline)
  if (restored === null) throw new Error('the row was written by another version of the fold')
  const { pipeline, state, theme, tracks } = restored
  const metadata: unknown = JSON.parse(columns.metadata)
  return {
    row,
    changedAt: latest(columns.parked_at ?? row.position, columns.revisited_at ?? 0n),
    traits: {
      id: row.id,
      pipeline: pipeline.name,
      state,
      theme,
      tracks: new Map(Object.entries(tracks).map(([name, track]) => [name, track.status])),
      metadata: isJsonObject(metadata) ? metadata : {},
      updatedAt: row.updatedAt,
    },
  }
}

const latest = (one: bigint, other: bigint) => (one > other ? one : other)

/** Nothing here looks at a definition. */
const namedPipeline: PipelineOf = (name, version) => ({ ...anyPipeline, name, version })

/** The same answer as the list's (listQuery.ts); a test holds one against the other. */
export function matchesFilter(filter: OperationFilter, traits: OperationTraits): boolean {
  const { track, status, state, theme, metadata, updatedAfter, updatedBefore } = filter
  if (!mayEverMatch(filter, traits)) return false
  if (theme !== undefined && traits.theme !== theme) return false
  if (state !== undefined && traits.state !== state) return false
  if (track !== undefined) {
    if (!traits.tracks.has(track)) return false
    if (status !== undefined && traits.tracks.get(track) !== status) return false
  } else if (status !== undefined && ![...traits.tracks.values()].includes(status)) return false
  if (metadata !== undefined && !Object.entries(metadata).every(([name, value]) => hasMember(traits, name, value))) {
    return false
  }
  const updatedAt = Date.parse(traits.updatedAt)
  if (updatedAfter !== undefined && updatedAt <= Date.parse(updatedAfter)) return false
  return updatedBefore === undefined || updatedAt < Date.parse(updatedBefore)
}

/** False when what an operation is born with keeps it out for good: then it never matched either. */
export function mayEverMatch({ pipeline, idPrefix, theme }: OperationFilter, traits: OperationTraits): boolean {
  if (pipeline !== undefined && traits.pipeline !== pipeline) return false
  // An operation that a report opened may get its theme later, once.
  if (theme !== undefined && traits.theme !== null && traits.theme !== theme) return false
  return idPrefix === undefined || traits.id.startsWith(idPrefix)
}

function hasMember({ metadata }: OperationTraits, name: string, value: string): boolean {
  const member = Object.hasOwn(metadata, name) ? metadata[name] : undefined
  if (typeof member === 'number' || typeof member === 'boolean') return String(member) === value
  return member === value
}
