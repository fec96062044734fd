import { anyPipeline, type PipelineDefinition } from '../operation/pipeline.ts'
import { sqlState } from '../postgres/serviceRole.ts'
import { type Batch, commitBatchStatement, commitBatchValues } from './batch.ts'
import { anyTrack, otherStatus } from './countedStatuses.ts'
import type { DatabaseSession } from './databaseSession.ts'
import { EmptyShapes } from './emptyShapes.ts'
import type { LoadedOperation } from './folding.ts'
import { type StateColumns, stateOf } from './operationState.ts'
import type { ParkedAt, ParkedStreams } from './parking/parkedStreams.ts'
import type { ProjectedPipelines } from './projectedPipelines.ts'
import { FencedError, type FoldedRows, projectionName, RefusedDataError } from './projectionStore.ts'

/** Data exception, integrity constraint violation, program limit exceeded. */
const refusedClasses = new Set(['22', '23', '54'])

/** Rows of one statement: making its texts takes some milliseconds, in which nobody else gets a turn. */
const statementWritesMax = 2_000

const parkedPageSize = 5_000

/** The rows of the session's set of tables. */
export class PostgresFoldedRows implements FoldedRows {
  readonly #session: DatabaseSession
  readonly #epoch: bigint
  readonly #emptyShapes: EmptyShapes

  constructor(session: DatabaseSession, epoch: bigint) {
    this.#session = session
    this.#epoch = epoch
    this.#emptyShapes = new EmptyShapes(session, epoch)
  }

  async loadPipelines(pipelines: ProjectedPipelines): Promise<void> {
    const { rows } = await this.#session.query<{ name: string; version: number; definition: PipelineDefinition }>(
      'SELECT name, version, definition FROM pipelines ORDER BY name, version',
    )
    for (const { name, version, definition } of rows) pipelines.define(name, { version, definition })
  }

  async loadCountedStatuses(): Promise<readonly string[]> {
    const { rows } = await this.#session.query<{ status: string }>({
      text: 'SELECT DISTINCT tracks ->> $2 AS status FROM shapes WHERE pipeline = $1 AND tracks ->> $2 <> $3',
      values: [anyPipeline.name, anyTrack, otherStatus],
    })
    return rows.map(({ status }) => status)
  }

  async loadParked(parked: ParkedStreams): Promise<void> {
    for (let after = '', full = true; full; ) {
      const { rows } = await this.#session.query<ParkedAt>({
        text: 'SELECT stream, revision, reason FROM parked WHERE stream > $1 ORDER BY stream LIMIT $2',
        values: [after, parkedPageSize],
      })
      for (const row of rows) parked.park(row)
      after = rows.at(-1)?.stream ?? after
      full = rows.length === parkedPageSize
    }
  }

  async loadStates(ids: readonly string[], pipelines: ProjectedPipelines): Promise<readonly LoadedOperation[]> {
    const { rows } = await this.#session.query<StateColumns>({
      name: 'load_states',
      text: 'SELECT o.state, o.data, o.metadata FROM unnest($1::text[]) AS v (id) JOIN operations o ON o.id = v.id',
      values: [ids],
    })
    return rows.map((row) => ({
      state: stateOf(row, pipelines.pipelineOf),
      dataLength: row.data.length,
      metadataLength: row.metadata.length,
    }))
  }

  async commit(batch: Batch): Promise<void> {
    try {
      // What is folded again goes with all of its batch: streams are taken out of `parked` before others are parked anew.
      if (batch.refolds.length > 0 || batch.writes.length <= statementWritesMax) {
        await this.#session.query({ ...commitBatchStatement, values: this.#values(batch) })
      } else {
        await this.#session.transaction(async (query) => {
          for (const part of partsOf(batch)) await query({ ...commitBatchStatement, values: this.#values(part) })
        })
      }
    } catch (error) {
      throw translated(error, batch)
    }
    await this.#emptyShapes.left(batch)
  }

  #values(batch: Batch): unknown[] {
    return commitBatchValues(projectionName, this.#epoch, batch)
  }
}

/** The checkpoint moves with the last one. */
function* partsOf(batch: Batch): Generator<Batch> {
  const { writes, from } = batch
  for (let next = 0; next < writes.length; ) {
    const part = writes.slice(next, next + statementWritesMax)
    next += statementWritesMax
    yield { ...batch, writes: part, to: next < writes.length ? from : batch.to }
  }
}

function translated(error: unknown, batch: Batch): unknown {
  const code = sqlState(error)
  if (!(error instanceof Error) || code === undefined) return error
  if (code === 'WB001') return new FencedError(error.message, { cause: error })
  if (!refusedClasses.has(code.slice(0, 2))) return error
  return new RefusedDataError(batch, `${code}: ${error.message}`, { cause: error })
}
