import { nodeName } from './control/nodeName.ts'
import { DatabaseSession, type SessionSettings } from './databaseSession.ts'
import { PostgresFoldedRows } from './foldedRows.ts'
import {
  type FoldedRows,
  foldVersion,
  type Leftover,
  type Ownership,
  type ProjectorSession,
  projectionName,
} from './projectionStore.ts'
import { schemaName, shadowSchemaName } from './schemaName.ts'

/** Any constant of this projection's own; taken per database. */
export const advisoryLock = 7_726_100_600n

/** Holds the advisory lock, so it must be a direct connection, not one of a transaction pooler. */
export class PostgresProjectorSession implements ProjectorSession {
  readonly #session: DatabaseSession
  #epoch = -1n
  #rows: FoldedRows

  private constructor(session: DatabaseSession) {
    this.#session = session
    this.#rows = new PostgresFoldedRows(session, this.#epoch)
  }

  static async connect(settings: SessionSettings): Promise<PostgresProjectorSession> {
    const kind = { applicationName: 'waybill projector', schema: schemaName }
    return new PostgresProjectorSession(await DatabaseSession.connect(settings, kind))
  }

  get lost(): Error | null {
    return this.#session.lost
  }

  get epoch(): bigint {
    return this.#epoch
  }

  get rows(): FoldedRows {
    return this.#rows
  }

  async checkpoint(logId: string): Promise<bigint> {
    const { rows } = await this.#session.query<{ position: bigint }>(
      'SELECT position FROM checkpoints WHERE name = $1 AND log_id = $2',
      [projectionName, logId],
    )
    return rows[0]?.position ?? 0n
  }

  async isPaused(): Promise<boolean> {
    const { rows } = await this.#session.query<{ paused: boolean }>(
      'SELECT paused_at IS NOT NULL AS paused FROM checkpoints WHERE name = $1',
      [projectionName],
    )
    return rows[0]?.paused === true
  }

  async tryLock(): Promise<boolean> {
    const { rows } = await this.#session.query<{ locked: boolean }>('SELECT pg_try_advisory_lock($1) AS locked', [
      advisoryLock,
    ])
    return rows[0]?.locked === true
  }

  async takeOver(): Promise<Ownership> {
    const { rows } = await this.#session.query<Ownership>(
      `UPDATE checkpoints SET epoch = epoch + 1, owner = $2, owned_since = now() WHERE name = $1
       RETURNING epoch, position, log_id AS "logId", fold_version AS "foldVersion", paused_at IS NOT NULL AS paused`,
      [projectionName, nodeName],
    )
    const [ownership] = rows
    if (ownership === undefined) throw new Error(`there is no checkpoint ${projectionName}: is the schema migrated?`)
    this.#epoch = ownership.epoch
    this.#rows = new PostgresFoldedRows(this.#session, ownership.epoch)
    return ownership
  }

  async startOver(logId: string): Promise<void> {
    await this.#session.transaction(async (query) => {
      await query('TRUNCATE operations, standings, shapes, parked, pipelines')
      await query(
        'UPDATE checkpoints SET position = 0, log_id = $2, fold_version = $3 WHERE name = $1 AND epoch = $4',
        [projectionName, logId, foldVersion, this.#epoch],
      )
    })
  }

  async leftover(): Promise<Leftover | null> {
    const { rows } = await this.#session.query<{ logId: string; foldVersion: number }>(
      `SELECT log_id AS "logId", fold_version AS "foldVersion" FROM ${shadowSchemaName}.checkpoints
       WHERE name = $1 AND log_id IS NOT NULL`,
      [projectionName],
    )
    return rows[0] ?? null
  }

  close(): Promise<void> {
    return this.#session.close()
  }
}
