import type pg from 'pg'
import type { PipelineDefinition, PipelineOf } from '../../operation/pipeline.ts'
import type { OperationState } from '../../operation/state.ts'
import { boundedBy, createPool } from '../../postgres/connection.ts'
import type { CheckpointSignal } from '../checkpointSignal.ts'
import { type StateColumns, shownOf, shownState } from '../operationState.ts'
import { projectionName } from '../projectionStore.ts'
import {
  type OperationRow,
  type ParkedStream,
  type ReadAt,
  type ReadModel,
  ReadModelUnavailableError,
} from '../readModel.ts'
import { schemaName } from '../schemaName.ts'
import { changedOperation, changedOperationsStatement } from './changedOperations.ts'
import { pollCheckpoint } from './checkpointPoll.ts'
import type { CheckpointRow, Maybe } from './checkpointRow.ts'
import { DefinitionCache } from './definitionCache.ts'
import { listedPage } from './listedPage.ts'
import type { Statement } from './listQuery.ts'
import { type OldestColumns, oldestInStatus, oldestStatement } from './oldestInStatus.ts'
import { isParked, parkedStatement, parkedStream, parkedStreamStatement } from './parkedRows.ts'
import {
  definitionStatement,
  isPipeline,
  type PipelineColumns,
  pipelineCountStatement,
  pipelineRow,
  pipelinesStatement,
} from './pipelineRows.ts'
import { type CountedColumns, statistics, statsStatement } from './statistics.ts'

export interface ReadModelSettings {
  readonly connectionString: string
  /** The role its sessions run as; null: the connecting user. */
  readonly role?: string | null
  /** Most connections at once. Default 8. */
  readonly connectionsMax?: number
  /** The longest a query may take. Default 5,000. */
  readonly queryTimeoutMs?: number
  /** The log whose read model it is: rows of another one are not shown. */
  readonly logId: string
  /** Whether a new connection still leads to the log's database (the log's own check); rejects if not. */
  readonly admit?: (client: pg.ClientBase) => Promise<void>
  readonly signal: CheckpointSignal
}

export function createReadModel(settings: ReadModelSettings): ReadModel {
  const { signal } = settings
  const timeoutMs = settings.queryTimeoutMs ?? 5_000
  const pool = createPool({
    connectionString: settings.connectionString,
    applicationName: 'waybill read model',
    max: settings.connectionsMax ?? 8,
    ...boundedBy(timeoutMs),
    role: settings.role,
    admit: settings.admit,
  })
  const poll = pollCheckpoint(signal, async () => {
    const { rows } = await pool.query<CheckpointRow>(checkpointStatement)
    const [row] = rows
    return row !== undefined && ofThisLog(row, settings.logId) ? row.checkpoint : null
  })
  let closing: Promise<void> | null = null
  const definitions = new DefinitionCache(async (name, version) => {
    const [row] = await query<{ readonly definition: PipelineDefinition }>({
      ...definitionStatement,
      values: [name, version],
    })
    return row?.definition ?? null
  })

  async function query<Row extends pg.QueryResultRow>(
    statement: Statement & { readonly name?: string },
  ): Promise<Row[]> {
    try {
      const { rows } = await pool.query<Row>({ ...statement, values: [...statement.values] })
      return rows
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new ReadModelUnavailableError(`The read model cannot be read now: ${reason}`, { cause: error })
    }
  }

  async function shown<T>(show: (pipelineOf: PipelineOf) => T): Promise<T> {
    try {
      return await definitions.with(show)
    } catch (error) {
      if (error instanceof ReadModelUnavailableError) throw error
      // Of a newer or an older node, while the rows are between two versions.
      const reason = error instanceof Error ? error.message : String(error)
      throw new ReadModelUnavailableError(`The read model is not one this node can read: ${reason}`, { cause: error })
    }
  }

  /** All rows carry the checkpoint; one with nothing else in it stands for an empty answer. */
  function seen(rows: readonly CheckpointRow[]): bigint {
    const [first] = rows
    if (first === undefined)
      throw new ReadModelUnavailableError('The read model has no checkpoint: is its schema migrated?')
    if (!ofThisLog(first, settings.logId)) {
      throw new ReadModelUnavailableError('The read model is of another log until the projector has folded it anew')
    }
    signal.observe(first.checkpoint)
    return first.checkpoint
  }

  return {
    async operation(id) {
      const rows = await query<CheckpointRow & Maybe<OperationColumns>>({ ...operationStatement, values: [id] })
      const position = seen(rows)
      const [row] = rows
      if (row === undefined) return { position, value: null, parked: null }
      const value = isOperation(row) ? await shown((of) => operationRow(row, of)) : null
      return { position, value, parked: parkedOf(row) }
    },

    async operationsById(ids) {
      const rows = await query<
        CheckpointRow & Maybe<OperationColumns> & { parked_at: bigint | null; revisited_at: bigint | null }
      >({
        ...changedOperationsStatement,
        values: [ids],
      })
      const position = seen(rows)
      const value = await shown((of) =>
        rows.filter(isOperation).map((row) => {
          const operation = shownState(row, of)
          return changedOperation(rowOf(row, operation), operation, row)
        }),
      )
      return { position, value }
    },

    async operations(asked) {
      const rows = await listedPage<CheckpointRow & Maybe<OperationColumns>>(asked, query)
      const position = seen(rows)
      const value = await shown((of) => rows.filter(isOperation).map((row) => operationRow(row, of)))
      return { position, value }
    },

    async stats() {
      const rows = await query<CheckpointRow & CountedColumns & { parked: bigint }>({
        ...statsStatement,
        values: [],
      })
      return { position: seen(rows), value: { pipelines: statistics(rows), parked: Number(rows[0]?.parked ?? 0n) } }
    },

    async oldestInStatus() {
      const rows = await query<CheckpointRow & Maybe<OldestColumns>>({ ...oldestStatement, values: [] })
      return { position: seen(rows), value: oldestInStatus(rows.filter(isOldest)) }
    },

    async pipelines(maxCount, after = '') {
      const rows = await query<CheckpointRow & Maybe<PipelineColumns>>({
        ...pipelinesStatement,
        values: [after, maxCount],
      })
      return { position: seen(rows), value: rows.filter(isPipeline).map(pipelineRow) }
    },

    async pipelineCount(countMax) {
      const statement = { ...pipelineCountStatement, values: [countMax] }
      const rows = await query<CheckpointRow & { readonly count: number }>(statement)
      return { position: seen(rows), value: rows[0]?.count ?? 0 }
    },

    async parkedStreams(maxCount, after = ''): Promise<ReadAt<readonly ParkedStream[]>> {
      const rows = await query<CheckpointRow & Maybe<ParkedStream>>({ ...parkedStatement, values: [after, maxCount] })
      return { position: seen(rows), value: rows.filter(isParked).map(parkedStream) }
    },

    async parkedStream(stream) {
      const rows = await query<CheckpointRow & Maybe<ParkedStream>>({ ...parkedStreamStatement, values: [stream] })
      return { position: seen(rows), value: rows.filter(isParked).map(parkedStream)[0] ?? null }
    },

    checkpoint: async () => seen(await query<CheckpointRow>({ ...checkpointStatement, values: [] })),

    position: () => signal.position,

    waitFor: (position, waitMs) => signal.waitFor(position, waitMs),

    close() {
      poll.stop()
      closing ??= pool.end()
      return closing
    },
  }
}

/** After a restore or a copy, until its projector has dropped the rows, the positions in them are another log's. */
function ofThisLog(row: CheckpointRow, logId: string): boolean {
  return row.log_id === null || row.log_id === logId
}

interface OperationColumns extends StateColumns {
  readonly id: string
  readonly revision: bigint
  readonly at: bigint
  readonly updated_at: bigint
  readonly opened_at: bigint
  /** Of a list in order of `since` only. */
  readonly since_ms?: bigint
  readonly parked_revision: bigint | null
  readonly parked_reason: string | null
}

const checkpointStatement = {
  name: 'checkpoint',
  text: `SELECT position AS checkpoint, log_id FROM ${schemaName}.checkpoints WHERE name = '${projectionName}'`,
}

const operationStatement = {
  name: 'operation',
  text: `
    SELECT c.position AS checkpoint, c.log_id, o.id, o.state, o.data, o.metadata, o.revision, o.position AS at, o.updated_at,
           o.opened_at, p.revision AS parked_revision, p.reason AS parked_reason
    FROM ${schemaName}.checkpoints c
    LEFT JOIN ${schemaName}.operations o ON o.id = $1
    LEFT JOIN ${schemaName}.parked p ON p.stream = 'operation-' || $1
    WHERE c.name = '${projectionName}'`,
}

function isOperation<Row extends CheckpointRow & Maybe<OperationColumns>>(row: Row): row is Row & OperationColumns {
  return row.id !== null
}

function operationRow(row: OperationColumns, pipelineOf: PipelineOf): OperationRow {
  return rowOf(row, shownState(row, pipelineOf))
}

function rowOf(row: OperationColumns, state: OperationState): OperationRow {
  return {
    id: row.id,
    ...shownOf(state),
    revision: row.revision,
    position: row.at,
    updatedAt: new Date(Number(row.updated_at)).toISOString(),
    openedAt: new Date(Number(row.opened_at)).toISOString(),
    ...(row.since_ms === undefined ? {} : { sinceMs: Number(row.since_ms) }),
    parked: parkedOf(row),
  }
}

function parkedOf(row: Pick<Maybe<OperationColumns>, 'parked_revision' | 'parked_reason'>): OperationRow['parked'] {
  const { parked_revision: revision, parked_reason: reason } = row
  return revision === null || reason === null ? null : { revision, reason }
}

function isOldest(row: CheckpointRow & Maybe<OldestColumns>): row is CheckpointRow & OldestColumns {
  return row.since_at !== null
}
