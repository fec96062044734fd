import { stateVersion } from '../operation/stateJson.ts'
import { nodeName } from './control/nodeName.ts'
import { DatabaseSession, type SessionSettings } from './databaseSession.ts'
import { FoldedRows, projectionName } from './foldedRows.ts'
import { schemaName, shadowSchemaName } from './schemaName.ts'

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

/** What a rebuild that did not end has left behind. */
export interface Leftover {
  readonly logId: string
  readonly foldVersion: number
}

/** The projector's connection: it holds the advisory lock, so it must be a direct one, not of a transaction pooler. */
export class ProjectorSession {
  readonly #session: DatabaseSession
  #epoch = -1n
  #rows: FoldedRows

  private constructor(session: DatabaseSession) {
    this.#session = session
    this.#rows = new FoldedRows(session, this.#epoch)
  }

  static async connect(settings: SessionSettings): Promise<ProjectorSession> {
    const kind = { applicationName: 'waybill projector', schema: schemaName }
    return new ProjectorSession(await DatabaseSession.connect(settings, kind))
  }

  /** Set when the connection is gone, and the lock with it. */
  get lost(): Error | null {
    return this.#session.lost
  }

  /** Of the last take-over. */
  get epoch(): bigint {
    return this.#epoch
  }

  /** As their owner since the last take-over. */
  get rows(): FoldedRows {
    return this.#rows
  }

  /** 0n when the rows are of another log. */
  async checkpoint(logId: string): Promise<bigint> {
    const { rows } = await this.#session.query<{ position: bigint }>(
      'SELECT position FROM checkpoints WHERE name = $1 AND log_id = $2',
      [projectionName, logId],
    )
    return rows[0]?.position ?? 0n
  }

  /** Whether an operator has paused the projection by now. */
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

  /** Raises the epoch: from here on, whoever held the projection before writes nothing more. */
  async takeOver(): Promise<Ownership> {
    const { rows } = await this.#session.query<Ownership>(
      `UPDATE checkpoints SET epoch = epoch + 1, owner = $2, owned_since = now() WHERE name = $1
       RETURNING epoch, position, log_id AS "logId", fold_version AS "foldVersion", paused_at IS NOT NULL AS paused`,
      [projectionName, nodeName],
    )
    const [ownership] = rows
    if (ownership === undefined) throw new Error(`there is no checkpoint ${projectionName}: is the schema migrated?`)
    this.#epoch = ownership.epoch
    this.#rows = new FoldedRows(this.#session, ownership.epoch)
    return ownership
  }

  /** Drops all rows: they belong to another log and mean nothing any more. Readers see the empty model until it is folded. */
  async startOver(logId: string): Promise<void> {
    await this.#session.transaction(async () => {
      await this.#session.query('TRUNCATE operations, shapes, parked, pipelines')
      await this.#session.query(
        'UPDATE checkpoints SET position = 0, log_id = $2, fold_version = $3 WHERE name = $1 AND epoch = $4',
        [projectionName, logId, foldVersion, this.#epoch],
      )
    })
  }

  /** Of a rebuild that is under way or was broken off; null when there is none. */
  async leftover(): Promise<Leftover | null> {
    const { rows } = await this.#session.query<{ logId: string; foldVersion: number }>(
      `SELECT log_id AS "logId", fold_version AS "foldVersion" FROM ${shadowSchemaName}.checkpoints
       WHERE name = $1 AND log_id IS NOT NULL`,
      [projectionName],
    )
    return rows[0] ?? null
  }

  /** Ends the connection at once, and with it whatever is under way. */
  close(): Promise<void> {
    return this.#session.close()
  }
}
