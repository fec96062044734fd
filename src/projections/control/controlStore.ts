import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { ReadModelUnavailableError, type RebuildProgress, tamperedReason } from '../readModel.ts'
import { schemaName } from '../schemaName.ts'
import type { AskedRebuild, ProjectionControl, ProjectionState, RebuildRecord } from './control.ts'
import { nodeName } from './nodeName.ts'

/** What is asked of the projection, as the node that projects must know it. */
export interface Orders {
  readonly paused: boolean
  /** The rebuild that has not ended; null: none is asked for. */
  readonly rebuild: { readonly id: string; readonly attempts: number } | null
}

/** The orders, as who does them sees them. */
export interface ControlOrders {
  orders(): Promise<Orders>
  /** A new attempt of this node, from the beginning; null when the rebuild has ended meanwhile. */
  beginRebuild(id: string): Promise<string | null>
  /** These three change nothing when another node has begun since. */
  rebuildProgress(attempt: string, progress: RebuildProgress): Promise<void>
  endRebuild(attempt: string, outcome: 'done' | 'failed', problem: string | null): Promise<void>
  /** It was interrupted, for no fault of its own: the attempt does not count. */
  leaveRebuild(attempt: string): Promise<void>
}

export interface ControlStore extends ProjectionControl, ControlOrders {}

const keptMax = 100

export function createControlStore(pool: pg.Pool, name: string): ControlStore {
  async function query<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[]): Promise<Row[]> {
    try {
      return (await pool.query<Row>(text, [...values])).rows
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new ReadModelUnavailableError(`The projection's controls do not answer: ${reason}`, { cause: error })
    }
  }

  async function state(): Promise<ProjectionState> {
    const [row] = await query<StateRow>(stateText, [name])
    if (row === undefined) throw new ReadModelUnavailableError('There is no checkpoint: is the schema migrated?')
    return stateOf(row, await lastRebuild())
  }

  async function lastRebuild(): Promise<RebuildRecord | null> {
    const [row] = await query<RebuildRow>(
      `SELECT ${rebuildColumns} FROM ${rebuilds} WHERE projection = $1 ORDER BY asked_at DESC, id LIMIT 1`,
      [name],
    )
    return row === undefined ? null : rebuildOf(row)
  }

  async function insertRebuild(by: string): Promise<RebuildRecord | 'paused' | null> {
    const [row] = await query<Partial<RebuildRow> & { paused: boolean }>(
      `WITH control AS (SELECT paused_at IS NOT NULL AS paused FROM ${checkpoints} WHERE name = $2),
            made AS (
              INSERT INTO ${rebuilds} (id, projection, asked_by)
              SELECT $1, $2, $3 FROM control WHERE NOT paused
              ON CONFLICT (projection) WHERE ended_at IS NULL DO NOTHING
              RETURNING ${rebuildColumns}
            )
       SELECT control.paused, made.* FROM control LEFT JOIN made ON true`,
      [randomUUID(), name, by],
    )
    if (row?.paused === true) return 'paused'
    return row !== undefined && isRebuild(row) ? rebuildOf(row) : null
  }

  return {
    name,
    state,

    async pause(by) {
      // The epoch fences off whatever the node that projects is about to commit.
      await query(
        `UPDATE ${checkpoints} SET epoch = epoch + 1, paused_at = now(), paused_by = $2
         WHERE name = $1 AND paused_at IS NULL`,
        [name, by],
      )
      return state()
    },

    async resume() {
      await query(`UPDATE ${checkpoints} SET paused_at = NULL, paused_by = NULL WHERE name = $1`, [name])
      return state()
    },

    async askRebuild(by): Promise<AskedRebuild> {
      for (;;) {
        const made = await insertRebuild(by)
        if (made === 'paused') return { kind: 'paused' }
        if (made !== null) {
          await query(
            `DELETE FROM ${rebuilds} WHERE id IN (
               SELECT id FROM ${rebuilds} WHERE projection = $1 ORDER BY asked_at DESC OFFSET ${keptMax})`,
            [name],
          )
          return { kind: 'asked', rebuild: made }
        }
        const last = await lastRebuild()
        if (last !== null && last.endedAt === null) return { kind: 'under_way', rebuild: last }
        // It has ended just now.
      }
    },

    async rebuild(id) {
      const [row] = await query<RebuildRow>(
        `SELECT ${rebuildColumns} FROM ${rebuilds} WHERE projection = $1 AND id = $2`,
        [name, id],
      )
      return row === undefined ? null : rebuildOf(row)
    },

    async orders() {
      const [row] = await query<{ paused: boolean; id: string | null; attempts: number | null }>(ordersText, [name])
      const rebuild = row?.id == null || row.attempts === null ? null : { id: row.id, attempts: row.attempts }
      return { paused: row?.paused === true, rebuild }
    },

    async beginRebuild(id) {
      const attempt = randomUUID()
      const begun = await query(
        `UPDATE ${rebuilds} SET attempt = $2, node = $3, began_at = now(), attempts = attempts + 1, position = 0
         WHERE id = $1 AND ended_at IS NULL RETURNING id`,
        [id, attempt, nodeName],
      )
      return begun.length === 1 ? attempt : null
    },

    async rebuildProgress(attempt, { done, head }) {
      await query(`UPDATE ${rebuilds} SET position = $2, head = $3 WHERE attempt = $1 AND ended_at IS NULL`, [
        attempt,
        done,
        head,
      ])
    },

    async endRebuild(attempt, outcome, problem) {
      // The rows it made are those of the checkpoint by now.
      await query(
        `UPDATE ${rebuilds} r SET ended_at = now(), outcome = $2, problem = $3,
           position = CASE WHEN $2 = 'done' THEN c.position ELSE r.position END, head = greatest(r.head, c.position)
         FROM ${checkpoints} c WHERE c.name = r.projection AND r.attempt = $1 AND r.ended_at IS NULL`,
        [attempt, outcome, problem],
      )
    },

    async leaveRebuild(attempt) {
      await query(`UPDATE ${rebuilds} SET attempts = attempts - 1 WHERE attempt = $1 AND ended_at IS NULL`, [attempt])
    },
  }
}

const checkpoints = `${schemaName}.checkpoints`
const rebuilds = `${schemaName}.rebuilds`

const ordersText = `
  SELECT c.paused_at IS NOT NULL AS paused, r.id, r.attempts
  FROM ${checkpoints} c LEFT JOIN ${rebuilds} r ON r.projection = c.name AND r.ended_at IS NULL
  WHERE c.name = $1`

const stateText = `
  SELECT position, epoch, fold_version, owner, owned_since, paused_at, paused_by,
         (SELECT count(*) FROM ${schemaName}.parked) AS parked,
         (SELECT count(*) FROM ${schemaName}.parked WHERE reason = '${tamperedReason}') AS tampered
  FROM ${checkpoints} WHERE name = $1`

interface StateRow {
  readonly position: bigint
  readonly epoch: bigint
  readonly fold_version: number | null
  readonly owner: string | null
  readonly owned_since: Date | null
  readonly paused_at: Date | null
  readonly paused_by: string | null
  readonly parked: bigint
  readonly tampered: bigint
}

function stateOf(row: StateRow, rebuild: RebuildRecord | null): ProjectionState {
  const { owner, owned_since: since, paused_at: pausedAt, paused_by: pausedBy } = row
  return {
    position: row.position,
    epoch: row.epoch,
    foldVersion: row.fold_version,
    owner: owner === null || since === null ? null : { node: owner, since: since.toISOString() },
    paused: pausedAt === null ? null : { since: pausedAt.toISOString(), by: pausedBy ?? '' },
    parked: Number(row.parked),
    tampered: Number(row.tampered),
    rebuild,
  }
}

const rebuildColumns = 'id, asked_at, asked_by, began_at, node, attempts, position, head, ended_at, outcome, problem'

interface RebuildRow {
  readonly id: string
  readonly asked_at: Date
  readonly asked_by: string
  readonly began_at: Date | null
  readonly node: string | null
  readonly attempts: number
  readonly position: bigint
  readonly head: bigint
  readonly ended_at: Date | null
  readonly outcome: 'done' | 'failed' | null
  readonly problem: string | null
}

/** Of an outer join. */
function isRebuild(row: Partial<RebuildRow>): row is RebuildRow {
  return row.id != null
}

function rebuildOf(row: RebuildRow): RebuildRecord {
  const { id, node, attempts, position, head, outcome, problem } = row
  return {
    id,
    askedAt: row.asked_at.toISOString(),
    askedBy: row.asked_by,
    beganAt: row.began_at?.toISOString() ?? null,
    node,
    attempts,
    position,
    head,
    endedAt: row.ended_at?.toISOString() ?? null,
    outcome,
    problem,
  }
}
