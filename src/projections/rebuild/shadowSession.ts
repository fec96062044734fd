import { sqlState } from '../../postgres/serviceRole.ts'
import { DatabaseSession, type SessionSettings } from '../databaseSession.ts'
import { FencedError, FoldedRows, projectionName } from '../foldedRows.ts'
import { schemaName, shadowSchemaName } from '../schemaName.ts'
import { foldVersion } from '../session.ts'

/** The tables in use were given another form during the rebuild: it has to begin anew. */
export class MigratedError extends Error {
  override readonly name = 'MigratedError'
}

/** Somebody made a view of a table in use: it cannot be dropped. */
export class ViewInTheWayError extends Error {
  override readonly name = 'ViewInTheWayError'
}

/** `held`: somebody is reading; `behind`: the shadow is not as far as the tables in use. Nothing was changed then. */
export type SwapOutcome = 'swapped' | 'held' | 'behind'

const kind = { applicationName: 'waybill rebuild', schema: shadowSchemaName }
/** `lock_not_available`, `deadlock_detected`. */
const heldCodes = new Set(['55P03', '40P01'])

/** The connection of a rebuild, which writes the shadow tables. What they are, and how they are made: migrations/0002_shadow.sql. */
export class ShadowSession {
  /** As their writer since the session was opened. */
  readonly rows: FoldedRows
  /** Up to where they were folded then. */
  readonly position: bigint
  readonly #session: DatabaseSession
  readonly #epoch: bigint

  private constructor(session: DatabaseSession, epoch: bigint, position: bigint) {
    this.#session = session
    this.#epoch = epoch
    this.rows = new FoldedRows(session, epoch)
    this.position = position
  }

  /**
   * Goes on with a rebuild of this log and fold that was broken off, or begins one. `ownerEpoch` is that of the projection's
   * owner. From here on, nobody else writes the shadow. Its connection ends, whatever is under way, when `signal` aborts.
   * Throws FencedError.
   */
  static async open(
    settings: SessionSettings,
    {
      ownerEpoch,
      logId,
      signal,
    }: { readonly ownerEpoch: bigint; readonly logId: string; readonly signal: AbortSignal },
  ): Promise<ShadowSession> {
    const session = await DatabaseSession.connect(settings, kind)
    signal.addEventListener('abort', () => void session.close(), { once: true })
    try {
      signal.throwIfAborted()
      // What is lost with the server is folded again. (The swap does wait for the disk.)
      await session.query('SET synchronous_commit = off')
      const { rows } = await session.query<{ shadow_epoch: bigint; folded_to: bigint }>(
        `SELECT shadow_epoch, folded_to FROM ${schemaName}.open_shadow($1, $2, $3, $4)`,
        [projectionName, ownerEpoch, logId, foldVersion],
      )
      const [opened] = rows
      if (opened === undefined) throw new Error('the shadow could not be opened')
      return new ShadowSession(session, opened.shadow_epoch, opened.folded_to)
    } catch (error) {
      await session.close()
      throw translated(error)
    }
  }

  /** Drops the shadow, whoever wrote it. Throws FencedError. */
  static async drop(settings: SessionSettings, ownerEpoch: bigint): Promise<void> {
    const session = await DatabaseSession.connect(settings, kind)
    try {
      await call(session, 'drop_shadow', [projectionName, ownerEpoch])
    } finally {
      await session.close()
    }
  }

  /** Makes the indexes that reads need and the fold does not, unless they are there. Takes minutes for millions of rows. */
  async makeIndexes(): Promise<void> {
    await this.#session.slowly(() => call(this.#session, 'index_shadow', [projectionName, this.#epoch]))
  }

  /**
   * Waits until no vacuum works on the tables to be swapped; false when one does for long. An automatic one gives way to
   * who waits for a second, longer than a swap may make readers wait; this wait hinders neither readers nor writers.
   */
  async awaitVacuums(): Promise<boolean> {
    const tables = ['shapes', 'operations', 'parked', 'pipelines'].flatMap((table) => [
      `${schemaName}.${table}`,
      `${shadowSchemaName}.${table}`,
    ])
    try {
      await this.#session.transaction(async () => {
        await this.#session.query(`LOCK TABLE ${tables.join(', ')} IN SHARE UPDATE EXCLUSIVE MODE`)
      })
      return true
    } catch (error) {
      if (heldCodes.has(sqlState(error) ?? '')) return false
      throw error
    }
  }

  /**
   * Puts the shadow in the place of the tables in use and raises the projection's epoch, in one transaction. Waits for
   * readers a fraction of a second. Throws FencedError, MigratedError.
   */
  async swap(ownerEpoch: bigint): Promise<SwapOutcome> {
    try {
      const { rows } = await this.#session.query<{ swapped: boolean }>(
        `SELECT ${schemaName}.swap_shadow($1, $2, $3) AS swapped`,
        [projectionName, ownerEpoch, this.#epoch],
      )
      return rows[0]?.swapped === true ? 'swapped' : 'behind'
    } catch (error) {
      if (heldCodes.has(sqlState(error) ?? '')) return 'held'
      throw translated(error)
    }
  }

  /** Ends the connection at once, and with it whatever is under way. The shadow stays as it is. */
  close(): Promise<void> {
    return this.#session.close()
  }
}

async function call(session: DatabaseSession, name: string, values: unknown[]): Promise<void> {
  try {
    await session.query(`SELECT ${schemaName}.${name}(${values.map((_, index) => `$${index + 1}`).join(', ')})`, values)
  } catch (error) {
    throw translated(error)
  }
}

function translated(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const code = sqlState(error)
  if (code === 'WB001') return new FencedError(error.message, { cause: error })
  if (code === 'WB004') return new ViewInTheWayError(error.message, { cause: error })
  if (code === 'WB003') return new MigratedError(error.message, { cause: error })
  return error
}
