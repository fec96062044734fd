import type { JsonObject } from '../../src/operation/json.ts'
import { anyPipeline } from '../../src/operation/pipeline.ts'
import type { StoredRow } from '../../src/projections/auditRows.ts'
import type { Batch, OperationWrite } from '../../src/projections/batch.ts'
import { anyTrack, otherStatus } from '../../src/projections/countedStatuses.ts'
import { FencedError, foldVersion, RefusedDataError, type SwapOutcome } from '../../src/projections/projectionStore.ts'
import { shapeFlags } from '../../src/projections/rowDifferences.ts'
import type { Shape } from '../../src/projections/shape.ts'
import type { ReadModelRows, Row } from '../faults/history/readModelRows.ts'

/** A row of `operations`. */
export interface StoredOperation extends Omit<StoredRow, 'shapeRow'> {
  readonly id: string
  readonly standings: Readonly<Record<string, readonly [string, string]>>
  readonly revisitedAt: bigint | null
}

export interface StoredShape {
  readonly id: bigint
  readonly pipeline: string
  readonly state: string
  readonly tracks: string
  readonly flags: JsonObject
  operations: number
}

export interface StoredPark {
  readonly stream: string
  readonly revision: bigint
  readonly position: bigint
  readonly reason: string
  readonly detail: string
}

export interface StoredPipeline {
  readonly name: string
  readonly version: number
  readonly definition: JsonObject
  readonly definedAt: string
}

/** One set of tables. */
export class RowSet {
  readonly operations = new Map<string, StoredOperation>()
  readonly shapes = new Map<bigint, StoredShape>()
  readonly parked = new Map<string, StoredPark>()
  readonly pipelines = new Map<string, StoredPipeline>()
  position = 0n
  epoch = 0n
  logId: string | null = null
  foldVersion: number | null = null
}

/**
 * The projection's two sets of tables, its lock and its orders, with the contract of `commit_batch`, `swap_shadow` and their
 * like: each method is one transaction, done at once.
 */
export class Tables {
  used = new RowSet()
  shadow = new RowSet()
  paused = false
  lock: object | null = null
  rebuild: { readonly id: string; attempt: string | null; attempts: number } | null = null
  rebuilds = 0
  /** For a planted bug. */
  isFenced = true
  /** Texts by operation. */
  readonly snapshots = new Map<string, string>()

  takeOver(): void {
    this.used.epoch += 1n
  }

  startOver(logId: string, epoch: bigint): void {
    if (this.used.epoch !== epoch) return
    const { used } = this
    for (const table of [used.operations, used.shapes, used.parked, used.pipelines]) table.clear()
    used.position = 0n
    used.logId = logId
    used.foldVersion = foldVersion
  }

  commit(set: RowSet, epoch: bigint, batch: Batch): void {
    const isOurs = set.epoch === epoch && set.position === batch.from
    if (this.isFenced && !isOurs) throw new FencedError(`epoch ${epoch} writes no longer`)
    this.#checkData(set, batch)
    set.position = batch.to
    for (const { stream, unparked } of batch.refolds) if (unparked) set.parked.delete(stream)
    for (const write of batch.writes) {
      if (write.kind === 'park') {
        const { stream, revision, position, reason, detail } = write
        set.parked.set(stream, { stream, revision, position, reason, detail })
      } else if (write.kind === 'pipeline') {
        const { name, version, definition, definedAt } = write
        set.pipelines.set(`${name} ${version}`, { name, version, definition, definedAt })
      } else if (write.kind === 'shape') {
        countShape(set, write.shape, 0)
      } else {
        writeOperation(set, write)
      }
    }
    for (const { operation, position } of batch.refolds) {
      const row = operation === null ? undefined : set.operations.get(operation)
      if (row !== undefined) set.operations.set(row.id, { ...row, revisitedAt: position })
    }
  }

  /** What PostgreSQL's constraints and the function's own count of rows would say. */
  #checkData(set: RowSet, batch: Batch): void {
    const revisited = new Set(batch.refolds.map(({ stream }) => stream))
    for (const write of batch.writes) {
      if (write.kind === 'pipeline' && set.pipelines.has(`${write.name} ${write.version}`)) {
        throw new RefusedDataError(batch, '23505: pipelines_pkey')
      }
      if (write.kind === 'park' && set.parked.has(write.stream) && !revisited.has(write.stream)) {
        throw new RefusedDataError(batch, '23505: parked_pkey')
      }
      if (write.kind !== 'operation') continue
      const isThere = set.operations.has(write.id)
      if (write.shapeBefore === null && isThere) throw new RefusedDataError(batch, '23505: operations_pkey')
      if (write.shapeBefore !== null && !isThere) throw new Error('WB002: not all rows to change are there')
    }
  }

  openShadow(ownerEpoch: bigint, logId: string): RowSet {
    this.#expectOwner(ownerEpoch)
    if (this.shadow.logId !== logId || this.shadow.foldVersion !== foldVersion) this.#emptyShadow(logId)
    this.shadow.epoch += 1n
    return this.shadow
  }

  dropShadow(ownerEpoch: bigint): void {
    this.#expectOwner(ownerEpoch)
    this.#emptyShadow(null)
  }

  swap(ownerEpoch: bigint, shadowEpoch: bigint): SwapOutcome {
    this.#expectOwner(ownerEpoch)
    const { used, shadow } = this
    if (shadow.epoch !== shadowEpoch) throw new FencedError('another writes the shadow')
    if (shadow.logId !== used.logId || shadow.position < used.position) return 'behind'
    this.used = shadow
    this.shadow = new RowSet()
    this.shadow.epoch = shadow.epoch
    this.#emptyShadow(null)
    this.used.epoch = used.epoch + 1n
    return 'swapped'
  }

  /** As the checker reads PostgreSQL's. */
  rows(): ReadModelRows {
    const { operations, shapes, parked, pipelines, position } = this.used
    return {
      checkpoint: String(position),
      operations: [...operations.values()].map(
        (row): Row => ({
          id: row.id,
          shape: String(row.shape),
          updated_at: String(row.updatedAt),
          opened_at: String(row.openedAt),
          since_at: String(row.sinceAt),
          heard_at: row.heardAt === null ? null : String(row.heardAt),
          standings: JSON.stringify(row.standings),
          revision: String(row.revision),
          position: String(row.position),
          facets: row.facets === null ? null : `{${row.facets.join(',')}}`,
          state: row.state,
          data: row.data,
          metadata: row.metadata,
        }),
      ),
      shapes: [...shapes.values()]
        .filter((row) => row.operations !== 0)
        .map(
          ({ id, operations: count, flags, ...row }): Row => ({
            id: String(id),
            ...row,
            flags: JSON.stringify(flags),
            operations: String(count),
          }),
        ),
      parked: [...parked.values()].map(
        (row): Row => ({ ...row, revision: String(row.revision), position: String(row.position) }),
      ),
      pipelines: [...pipelines.values()].map(
        (row): Row => ({
          name: row.name,
          version: String(row.version),
          definition: JSON.stringify(row.definition),
          defined_at: row.definedAt,
        }),
      ),
    }
  }

  #expectOwner(epoch: bigint): void {
    if (this.used.epoch !== epoch) throw new FencedError(`epoch ${epoch} owns the projection no longer`)
  }

  #emptyShadow(logId: string | null): void {
    const { epoch } = this.shadow
    this.shadow = new RowSet()
    this.shadow.epoch = epoch + 1n
    this.shadow.logId = logId
    this.shadow.foldVersion = logId === null ? null : foldVersion
  }
}

function writeOperation(set: RowSet, write: OperationWrite): void {
  const before = set.operations.get(write.id)
  const { facets } = write
  set.operations.set(write.id, {
    id: write.id,
    shape: write.shape.id,
    updatedAt: BigInt(write.updatedAtMs),
    openedAt: before?.openedAt ?? BigInt(write.openedAtMs),
    sinceAt: BigInt(write.sinceAtMs),
    heardAt: write.heardAtMs === null ? null : BigInt(write.heardAtMs),
    standings: standingsAfter(before, write),
    revision: write.revision,
    position: write.position,
    facets: facets === null ? (before?.facets ?? null) : facets.length === 0 ? null : facets,
    state: write.state,
    data: write.data ?? before?.data ?? '{}',
    metadata: write.metadata ?? before?.metadata ?? '{}',
    revisitedAt: before?.revisitedAt ?? null,
  })
  if (write.shapeBefore?.id === write.shape.id) return
  for (const [shape, change] of [
    [write.shape, 1],
    [write.shapeBefore, -1],
  ] as const) {
    if (shape !== null) countShape(set, shape, change)
  }
}

function countShape(set: RowSet, shape: Shape, change: number): void {
  const counted = set.shapes.get(shape.id)
  if (counted !== undefined) counted.operations += change
  else {
    const { id, pipeline, state, tracks } = shape
    set.shapes.set(id, { id, pipeline, state, tracks, flags: shapeFlags(shape), operations: change })
  }
}

/** The statuses of pipeline `any` that have a shape. */
export function countedStatuses({ shapes }: RowSet): ReadonlySet<string> {
  const statuses = new Set<string>()
  for (const { pipeline, tracks } of shapes.values()) {
    const { [anyTrack]: status }: Record<string, string | null> =
      pipeline === anyPipeline.name ? JSON.parse(tracks) : {}
    if (typeof status === 'string' && status !== otherStatus) statuses.add(status)
  }
  return statuses
}

function standingsAfter(before: StoredOperation | undefined, { standings }: OperationWrite) {
  const after: Record<string, readonly [string, string]> = { ...before?.standings }
  for (const { track, standing, sinceAtMs } of standings) {
    if (standing === null) delete after[track]
    else after[track] = [String(standing), String(sinceAtMs)]
  }
  return after
}
