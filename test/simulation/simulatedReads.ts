import { anyPipeline, compilePipeline, type PipelineDefinition, type PipelineOf } from '../../src/operation/pipeline.ts'
import type { AuditRows } from '../../src/projections/auditRows.ts'
import type { CheckpointSignal } from '../../src/projections/checkpointSignal.ts'
import type { ControlOrders } from '../../src/projections/control/controlStore.ts'
import { shownOf, shownState } from '../../src/projections/operationState.ts'
import { UnknownPipelineError } from '../../src/projections/projectedPipelines.ts'
import { foldVersion } from '../../src/projections/projectionStore.ts'
import { pollCheckpoint } from '../../src/projections/queries/checkpointPoll.ts'
import { type OperationRow, type ReadModel, ReadModelUnavailableError } from '../../src/projections/readModel.ts'
import { countedStatuses, type RowSet, type StoredOperation, type Tables } from './tables.ts'

/** What reads the tables beside the projector: each query is one snapshot. */
export type Query = <T>(work: (tables: Tables) => T) => Promise<T>

export function createSimulatedReadModel(query: Query, signal: CheckpointSignal, logId: string): ReadModel {
  const poll = pollCheckpoint(signal, () => query(({ used }) => (isOf(used, logId) ? used.position : null)))

  async function read<T>(work: (rows: RowSet) => T): Promise<{ readonly value: T; readonly position: bigint }> {
    const found = await query(({ used }) => {
      if (!isOf(used, logId)) throw new ReadModelUnavailableError('the rows are of another log')
      return { value: work(used), position: used.position }
    })
    signal.observe(found.position)
    return found
  }

  return {
    operation: async (id) => {
      const { position, value } = await read((rows) => ({
        row: rowOf(rows, rows.operations.get(id)),
        parked: rows.parked.get(`operation-${id}`) ?? null,
      }))
      return { position, value: value.row, parked: value.parked }
    },
    operations: ({ idPrefix = '', after, pageSize }) =>
      read((rows) =>
        [...rows.operations.values()]
          .filter(({ id }) => id.startsWith(idPrefix) && (after === undefined || id > after.id))
          .sort((one, other) => (one.id < other.id ? -1 : 1))
          .slice(0, pageSize)
          .flatMap((row) => rowOf(rows, row) ?? []),
      ),
    operationsById: notSimulated,
    stats: notSimulated,
    oldestInStatus: notSimulated,
    pipelines: notSimulated,
    pipelineCount: notSimulated,
    checkpoint: notSimulated,
    parkedStreams: notSimulated,
    parkedStream: (stream) => read((rows) => rows.parked.get(stream) ?? null),
    position: () => signal.position,
    waitFor: (position, timeoutMs) => signal.waitFor(position, timeoutMs),
    close: async () => poll.stop(),
  }
}

function notSimulated(): never {
  throw new Error('no client of the simulation asks for this')
}

function definitionsOf(pipelines: RowSet['pipelines']): PipelineOf {
  return (name, version) => {
    if (name === anyPipeline.name) return anyPipeline
    const stored = pipelines.get(`${name} ${version}`)
    if (stored === undefined) throw new UnknownPipelineError(`pipeline ${name} has no version ${version}`)
    return compilePipeline(name, version, stored.definition as PipelineDefinition)
  }
}

/** Null before the first projector: nothing is folded. */
function isOf({ logId }: RowSet, ours: string): boolean {
  return logId === null || logId === ours
}

function rowOf({ parked, pipelines }: RowSet, row: StoredOperation | undefined): OperationRow | null {
  if (row === undefined) return null
  const park = parked.get(`operation-${row.id}`)
  return {
    id: row.id,
    ...shownOf(shownState(row, definitionsOf(pipelines))),
    revision: row.revision,
    position: row.position,
    updatedAt: new Date(Number(row.updatedAt)).toISOString(),
    openedAt: new Date(Number(row.openedAt)).toISOString(),
    parked: park === undefined ? null : { revision: park.revision, reason: park.reason },
  }
}

export function createSimulatedAuditRows(query: Query, ourLogId: string): AuditRows {
  const ours = ({ logId, foldVersion: by }: RowSet): boolean => logId === ourLogId && by === foldVersion
  const pick = <T>(values: Iterable<T>, random: () => number): T | null => {
    const all = [...values]
    return all[Math.floor(random() * all.length)] ?? null
  }
  return {
    checkpoint: () => query(({ used }) => (ours(used) ? used.position : null)),
    randomOperation: (random) => query(({ used }) => pick(used.operations.keys(), random)),
    randomShape: (random) => query(({ used }) => pick(used.shapes.keys(), random)),
    definition: (name, version) => query(({ used }) => used.pipelines.get(`${name} ${version}`)?.definition ?? null),
    operation: (id) =>
      query(({ used }) => {
        if (!ours(used)) return null
        const row = used.operations.get(id)
        const shape = row === undefined ? undefined : used.shapes.get(row.shape)
        const park = used.parked.get(`operation-${id}`)
        const counted = shape !== undefined && shape.operations > 0
        return {
          checkpoint: used.position,
          row:
            row === undefined
              ? null
              : {
                  ...row,
                  shapeRow: counted
                    ? {
                        pipeline: shape.pipeline,
                        state: shape.state,
                        tracks: JSON.parse(shape.tracks) as unknown,
                        flags: shape.flags,
                      }
                    : null,
                },
          parked: park ?? null,
        }
      }),
    countsByName: (status) => query(({ used }) => countedStatuses(used).has(status)),
    countShape: (id) =>
      query(({ used }) => {
        if (!ours(used)) return null
        const counted = [...used.operations.values()].filter(({ shape }) => shape === id).length
        return { said: BigInt(used.shapes.get(id)?.operations ?? 0), counted: BigInt(counted) }
      }),
    close: async () => undefined,
  }
}

/** What operators asked for, as the node that projects takes it. */
export function createSimulatedOrders(query: Query, newId: () => string): ControlOrders {
  return {
    orders: () =>
      query(({ paused, rebuild }) => ({
        paused,
        rebuild: rebuild === null ? null : { id: rebuild.id, attempts: rebuild.attempts },
      })),
    beginRebuild: (id) =>
      query(({ rebuild }) => {
        if (rebuild?.id !== id) return null
        rebuild.attempt = newId()
        rebuild.attempts += 1
        return rebuild.attempt
      }),
    rebuildProgress: () => query(() => undefined),
    endRebuild: (attempt) =>
      query((tables) => {
        if (tables.rebuild?.attempt !== attempt) return
        tables.rebuild = null
        tables.rebuilds += 1
      }),
    leaveRebuild: (attempt) =>
      query(({ rebuild }) => {
        if (rebuild?.attempt === attempt) rebuild.attempts -= 1
      }),
  }
}
