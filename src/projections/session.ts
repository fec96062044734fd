import pg from 'pg'
import type { PipelineDefinition } from '../operation/pipeline.ts'
import { stateVersion } from '../operation/stateJson.ts'
import { clientConfig } from '../postgres/connection.ts'
import {
  type Batch,
  commitBatchStatement,
  commitBatchValues,
  commitRevisitsStatement,
  revisitsValue,
  type Write,
} from './batch.ts'
import { nodeName } from './control/nodeName.ts'
import type { LoadedOperation } from './folding.ts'
import { type StateColumns, stateOf } from './operationState.ts'
import type { PipelineCatalogue } from './pipelineCatalogue.ts'
import { schemaName } from './schemaName.ts'

/** One projection for now: operations, their counts, and the pipelines they name move on together. */
export const projectionName = 'operations'

/** Of the rows' meaning. Raised when a fold would make other rows of the same events: they are then folded anew. */
export const foldVersion = stateVersion

/** Any constant of this projection's own; taken per database. */
export const advisoryLock = 7_726_100_600n

export interface Ownership {
  readonly epoch: bigint
  readonly position: bigint
  /** Null before the first projector. */
  readonly logId: string | null
  /** `foldVersion` of who wrote the rows; null before the first projector. */
  readonly foldVersion: number | null
  /** Whether an operator has paused the projection: then nothing may be written. */
  readonly paused: boolean
}

/** The checkpoint has another epoch or position than this writer's: another node has taken over. Nothing was written. */
export class FencedError extends Error {
  override readonly name = 'FencedError'
}

/** The database refuses the data itself (SQLSTATE classes 22, 23, 54): trying again changes nothing. Nothing was written. */
export class RefusedDataError extends Error {
  override readonly name = 'RefusedDataError'
  readonly batch: Batch

  constructor(batch: Batch, message: string, options?: ErrorOptions) {
    super(message, options)
    this.batch = batch
  }
}

/** The longest wait for an answer, after which the connection is given up; the server gives up 5 s before. */
const answerTimeoutMs = 25_000
/** The same while everything is folded anew: deleting millions of rows takes its time. */
const rebuildAnswerTimeoutMs = 3_600_000

/** Rolls back what was only tried. */
class TriedError extends Error {}

/** Data exception, integrity constraint violation, program limit exceeded. */
const refusedClasses = new Set(['22', '23', '54'])

export interface SessionSettings {
  readonly connectionString: string
  /** The role the session runs as; null: the connecting user. */
  readonly role?: string | null
}

/** The projector's connection: it holds the advisory lock, so it must be a direct one, not of a transaction pooler. */
export class ProjectorSession {
  readonly #client: pg.Client
  #lost: Error | null = null
  #epoch = -1n
  #inTransaction = false
  #answerTimeoutMs = answerTimeoutMs
  /** Settles with the last query sent. */
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(client: pg.Client) {
    this.#client = client
    client.on('error', (error) => {
      this.#lost = error
    })
    client.on('end', () => {
      this.#lost ??= new Error('the connection ended')
    })
  }

  static async connect(settings: SessionSettings): Promise<ProjectorSession> {
    const client = new pg.Client(
      clientConfig({
        connectionString: settings.connectionString,
        applicationName: 'waybill projector',
        statementTimeoutMs: answerTimeoutMs - 5_000,
        lockTimeoutMs: 10_000,
        idleInTransactionTimeoutMs: 60_000,
        ...(settings.role === undefined ? null : { role: settings.role }),
      }),
    )
    const session = new ProjectorSession(client)
    await client.connect()
    await client.query(`SET search_path TO ${schemaName}`)
    // Plans of prepared statements outlive the sizes they were made for: only lookups by key are right at any size.
    await client.query('SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off; SET jit = off')
    return session
  }

  /** Set when the connection is gone, and the lock with it. */
  get lost(): Error | null {
    return this.#lost
  }

  /** 0n when the rows are of another log. */
  async checkpoint(logId: string): Promise<bigint> {
    const { rows } = await this.#query<{ position: bigint }>(
      'SELECT position FROM checkpoints WHERE name = $1 AND log_id = $2',
      [projectionName, logId],
    )
    return rows[0]?.position ?? 0n
  }

  /** Whether an operator has paused the projection by now. */
  async isPaused(): Promise<boolean> {
    const { rows } = await this.#query<{ paused: boolean }>(
      'SELECT paused_at IS NOT NULL AS paused FROM checkpoints WHERE name = $1',
      [projectionName],
    )
    return rows[0]?.paused === true
  }

  async tryLock(): Promise<boolean> {
    const { rows } = await this.#query<{ locked: boolean }>('SELECT pg_try_advisory_lock($1) AS locked', [advisoryLock])
    return rows[0]?.locked === true
  }

  /** Raises the epoch: from here on, whoever held the projection before writes nothing more. */
  async takeOver(): Promise<Ownership> {
    const { rows } = await this.#query<Ownership>(
      `UPDATE checkpoints SET epoch = epoch + 1, owner = $2, owned_since = now() WHERE name = $1
       RETURNING epoch, position, log_id AS "logId", fold_version AS "foldVersion", paused_at IS NOT NULL AS paused`,
      [projectionName, nodeName],
    )
    const [ownership] = rows
    if (ownership === undefined) throw new Error(`there is no checkpoint ${projectionName}: is the schema migrated?`)
    this.#epoch = ownership.epoch
    return ownership
  }

  /**
   * Drops all rows: they belong to another log, or were written by an older fold that this one cannot read. Readers see
   * the empty model until it is folded anew: the old rows mean nothing any more.
   */
  async startOver(logId: string): Promise<void> {
    await this.#transaction(async () => {
      await this.#query('TRUNCATE operations, shapes, parked, pipelines')
      await this.#query(
        'UPDATE checkpoints SET position = 0, log_id = $2, fold_version = $3 WHERE name = $1 AND epoch = $4',
        [projectionName, logId, foldVersion, this.#epoch],
      )
    })
  }

  /** The definitions folded so far. */
  async loadPipelines(catalogue: PipelineCatalogue): Promise<void> {
    const { rows } = await this.#query<{ name: string; version: number; definition: PipelineDefinition }>(
      'SELECT name, version, definition FROM pipelines ORDER BY name, version',
    )
    for (const { name, version, definition } of rows) catalogue.define(name, { version, definition })
  }

  /** By stream: the revision it is parked at. */
  async loadParked(): Promise<Map<string, bigint>> {
    const { rows } = await this.#query<{ stream: string; revision: bigint }>('SELECT stream, revision FROM parked')
    return new Map(rows.map((row) => [row.stream, row.revision]))
  }

  /** Operations as their rows have them; those without a row are left out. */
  async loadStates(ids: readonly string[], catalogue: PipelineCatalogue): Promise<readonly LoadedOperation[]> {
    const { rows } = await this.#query<StateColumns>({
      name: 'load_states',
      text: 'SELECT o.state, o.data, o.metadata FROM unnest($1::text[]) AS v (id) JOIN operations o ON o.id = v.id',
      values: [ids],
    })
    return rows.map((row) => ({
      state: stateOf(row, catalogue.pipelineOf),
      dataLength: row.data.length,
      metadataLength: row.metadata.length,
    }))
  }

  /** Writes rows, counts and checkpoint, all or nothing. Throws FencedError, RefusedDataError, or what the connection threw. */
  async commit(batch: Batch): Promise<void> {
    try {
      const values = commitBatchValues(projectionName, this.#epoch, batch)
      if (batch.revisits.length === 0) await this.#query({ ...commitBatchStatement, values })
      else await this.#query({ ...commitRevisitsStatement, values: [...values, revisitsValue(batch)] })
    } catch (error) {
      throw translated(error, batch)
    }
  }

  /**
   * Finds out which of a refused batch's streams the database refuses, by halves, trying and rolling back. Empty when the
   * halves pass after all.
   */
  async refusedWrites(batch: Batch): Promise<ReadonlyMap<string, string>> {
    const refused = new Map<string, string>()
    const search = async (writes: readonly Write[]): Promise<void> => {
      const reason = await this.#refusal({ ...batch, writes })
      if (reason === null) return
      const [only] = writes
      if (writes.length === 1 && only !== undefined) {
        refused.set(only.stream, reason)
        return
      }
      const middle = writes.length >> 1
      await search(writes.slice(0, middle))
      await search(writes.slice(middle))
    }
    await search(batch.writes)
    return refused
  }

  /**
   * Folds the whole log anew in one transaction: readers see the old rows until it is done. `batches` is given what
   * commits one batch, from position 0n on.
   */
  async rebuild(batches: (commit: (batch: Batch) => Promise<void>) => Promise<void>): Promise<void> {
    this.#answerTimeoutMs = rebuildAnswerTimeoutMs
    await this.#transaction(async () => {
      const { rowCount } = await this.#query('SELECT FROM checkpoints WHERE name = $1 AND epoch = $2 FOR UPDATE', [
        projectionName,
        this.#epoch,
      ])
      if (rowCount !== 1) throw new FencedError('another node projects')
      await this.#query('SET LOCAL statement_timeout = 0')
      // DELETE, not TRUNCATE: a reader's snapshot keeps its rows, and no reader waits.
      for (const table of ['operations', 'shapes', 'parked', 'pipelines']) {
        await this.#query({ text: `DELETE FROM ${table}` })
      }
      await this.#query('UPDATE checkpoints SET position = 0 WHERE name = $1', [projectionName])
      await batches((batch) => this.#savepoint(() => this.commit(batch)))
    }).finally(() => {
      this.#answerTimeoutMs = answerTimeoutMs
    })
  }

  /** One query after the other: `pg` will no longer queue them itself. */
  #query<Row extends pg.QueryResultRow>(
    text: string | pg.QueryConfig,
    values?: unknown[],
  ): Promise<pg.QueryResult<Row>> {
    const result = this.#turn.then(() => this.#answer<Row>(this.#client.query<Row>(text, values)))
    this.#turn = result.catch(() => undefined)
    return result
  }

  /** A server that fell silent would otherwise be waited for as long as it likes. */
  async #answer<Row extends pg.QueryResultRow>(query: Promise<pg.QueryResult<Row>>): Promise<pg.QueryResult<Row>> {
    const timer = setTimeout(() => void this.close(), this.#answerTimeoutMs)
    try {
      return await query
    } finally {
      clearTimeout(timer)
    }
  }

  /** Ends the connection at once, and with it whatever is under way. */
  async close(): Promise<void> {
    await this.#client.end().catch(() => undefined)
  }

  async #refusal(batch: Batch): Promise<string | null> {
    try {
      const tried = async (): Promise<never> => {
        await this.commit(batch)
        throw new TriedError()
      }
      await (this.#inTransaction ? this.#savepoint(tried) : this.#transaction(tried))
    } catch (error) {
      if (error instanceof RefusedDataError) return error.message
      if (!(error instanceof TriedError)) throw error
    }
    return null
  }

  /** What fails in it leaves the transaction as it was before. */
  async #savepoint(work: () => Promise<void>): Promise<void> {
    await this.#query('SAVEPOINT part')
    try {
      await work()
      await this.#query('RELEASE SAVEPOINT part')
    } catch (error) {
      await this.#query('ROLLBACK TO SAVEPOINT part')
      throw error
    }
  }

  async #transaction(work: () => Promise<void>): Promise<void> {
    await this.#query('BEGIN')
    this.#inTransaction = true
    try {
      await work()
      await this.#query('COMMIT')
    } catch (error) {
      await this.#query('ROLLBACK').catch(() => undefined)
      throw error
    } finally {
      this.#inTransaction = false
    }
  }
}

function translated(error: unknown, batch: Batch): unknown {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return error
  if (error.code === 'WB001') return new FencedError(error.message, { cause: error })
  if (refusedClasses.has(error.code.slice(0, 2))) {
    return new RefusedDataError(batch, `${error.code}: ${error.message}`, { cause: error })
  }
  return error
}
