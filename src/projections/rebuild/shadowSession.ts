import { sqlState } from '../../postgres/serviceRole.ts'
import { DatabaseSession, type SessionSettings } from '../databaseSession.ts'
import { PostgresFoldedRows } from '../foldedRows.ts'
import {
  FencedError,
  type FoldedRows,
  foldVersion,
  MigratedError,
  projectionName,
  type ShadowOptions,
  type ShadowSession,
  type SwapOutcome,
  ViewInTheWayError,
} from '../projectionStore.ts'
import { schemaName, shadowSchemaName } from '../schemaName.ts'

const kind = { applicationName: 'waybill rebuild', schema: shadowSchemaName }
/** `lock_not_available`, `deadlock_detected`. */
const heldCodes = new Set(['55P03', '40P01'])

/** Writes the shadow tables. What they are, and how they are made: migrations/0002_shadow.sql. */
export class PostgresShadowSession implements ShadowSession {
  readonly rows: FoldedRows
  readonly position: bigint
  readonly #session: DatabaseSession
  readonly #epoch: bigint
  readonly #stopListening: () => void

  private constructor(session: DatabaseSession, epoch: bigint, position: bigint, stopListening: () => void) {
    this.#session = session
    this.#stopListening = stopListening
    this.#epoch = epoch
    this.rows = new PostgresFoldedRows(session, epoch)
    this.position = position
  }

  static async open(
    settings: SessionSettings,
    { ownerEpoch, logId, signal }: ShadowOptions,
  ): Promise<PostgresShadowSession> {
    const session = await DatabaseSession.connect(settings, kind)
    const onAbort = () => void session.close()
    signal.addEventListener('abort', onAbort, { once: true })
    // One rebuild may open many sessions.
    const stopListening = () => signal.removeEventListener('abort', onAbort)
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
      return new PostgresShadowSession(session, opened.shadow_epoch, opened.folded_to, stopListening)
    } catch (error) {
      stopListening()
      await session.close()
      throw translated(error)
    }
  }

  static async drop(settings: SessionSettings, ownerEpoch: bigint): Promise<void> {
    const session = await DatabaseSession.connect(settings, kind)
    try {
      await call(session, 'drop_shadow', [projectionName, ownerEpoch])
    } finally {
      await session.close()
    }
  }

  async makeIndexes(): Promise<void> {
    await this.#session.slowly(() => call(this.#session, 'index_shadow', [projectionName, this.#epoch]))
  }

  /**
   * An automatic vacuum gives way to who waits for a second, longer than a swap may make readers wait; this wait hinders
   * neither readers nor writers.
   */
  async awaitVacuums(): Promise<boolean> {
    const tables = ['shapes', 'operations', 'standings', 'parked', 'pipelines'].flatMap((table) => [
      `${schemaName}.${table}`,
      `${shadowSchemaName}.${table}`,
    ])
    try {
      await this.#session.transaction(async (query) => {
        await query(`LOCK TABLE ${tables.join(', ')} IN SHARE UPDATE EXCLUSIVE MODE`)
      })
      return true
    } catch (error) {
      if (heldCodes.has(sqlState(error) ?? '')) return false
      throw error
    }
  }

  /** In one transaction, which waits for readers a fraction of a second. */
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

  close(): Promise<void> {
    this.#stopListening()
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
