import type pg from 'pg'
import { anyPipeline } from '../operation/pipeline.ts'
import { boundedBy, createPool } from '../postgres/connection.ts'
import { anyTrack } from './countedStatuses.ts'
import { foldVersion, projectionName } from './projectionStore.ts'
import { schemaName } from './schemaName.ts'

/** What the self-audit reads of the tables: rows as they are stored. Rejects with whatever the database says. */
export interface AuditRows {
  /** Up to where the read model is folded; null while its rows are not this log's, or not of this fold. */
  checkpoint(): Promise<bigint | null>

  /** The id of some operation's row; null when none was met. `random` is uniform in [0, 1). */
  randomOperation(random: () => number): Promise<string | null>

  /** Everything about one operation, in one snapshot; null as for `checkpoint`. */
  operation(id: string): Promise<AuditedOperation | null>

  /** A version of a pipeline as its row defines it; null when there is no such row. */
  definition(name: string, version: number): Promise<unknown>

  /** Whether this status of pipeline `any` is counted by name. */
  countsByName(status: string): Promise<boolean>

  /** The id of some shape; null when there is none. */
  randomShape(random: () => number): Promise<bigint | null>

  /** A shape's own count beside its rows, counted up to `rowsMax`; in one snapshot. Null as for `checkpoint`. */
  countShape(id: bigint, rowsMax: number): Promise<ShapeCount | null>

  close(): Promise<void>
}

export interface AuditedOperation {
  readonly checkpoint: bigint
  readonly row: StoredRow | null
  readonly parked: { readonly revision: bigint; readonly position: bigint; readonly reason: string } | null
}

/** A row of `operations` (migrations/0001_read_model.sql says what the columns hold), and that of its shape. */
export interface StoredRow {
  readonly shape: bigint
  readonly updatedAt: bigint
  readonly openedAt: bigint
  readonly sinceAt: bigint
  readonly heardAt: bigint | null
  /** Its rows of `standings`, as JSON: hash and `since_at` by track, both as text. */
  readonly standings: unknown
  readonly revision: bigint
  readonly position: bigint
  readonly facets: readonly number[] | null
  readonly state: string
  readonly data: string
  readonly metadata: string
  /** Null when there is no such shape, or it says that it has no operations. */
  readonly shapeRow: StoredShape | null
}

export interface StoredShape {
  readonly pipeline: string
  readonly state: string
  readonly tracks: unknown
  /** Its other columns by their names, as JSON; the hashes in `standings` as text. */
  readonly flags: unknown
}

export interface ShapeCount {
  /** 0 when there is no such shape. */
  readonly said: bigint
  /** Null when it is not worth counting: the shape says more than `rowsMax`. */
  readonly counted: bigint | null
}

export interface AuditRowsSettings {
  readonly connectionString: string
  /** The role its session runs as; null: the connecting user. */
  readonly role?: string | null
  readonly logId: string
  /** Whether a new connection still leads to the log's database; rejects if not. */
  readonly admit?: (client: pg.ClientBase) => Promise<void>
  /** The longest a query may take. Default 5,000. */
  readonly queryTimeoutMs?: number
}

/** After a rebuild half of the blocks may be empty for a while. */
const blockTriesMax = 8

/** One connection of its own, opened with the first query: an audit never takes one that a reader waits for. */
export function createAuditRows(settings: AuditRowsSettings): AuditRows {
  const timeoutMs = settings.queryTimeoutMs ?? 5_000
  const pool = createPool({
    connectionString: settings.connectionString,
    applicationName: 'waybill self-audit',
    max: 1,
    ...boundedBy(timeoutMs),
    role: settings.role,
    async admit(client) {
      await settings.admit?.(client)
      // Lookups by key alone, whatever the statistics say: nothing here may read ten million rows.
      await client.query(
        'SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off',
      )
    },
  })

  let closing: Promise<void> | null = null

  async function query<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    const { rows } = await pool.query<Row>(text, values)
    return rows
  }

  /** The checkpoint, and beside it what is asked for; null when the rows are not ours to judge. */
  async function beside<Row>(columns: string, joins: string, values: unknown[]): Promise<(Beside & Row) | null> {
    const [row] = await query<Beside & Row>(
      `SELECT c.position AS checkpoint, c.log_id, c.fold_version${columns} FROM ${schemaName}.checkpoints c${joins}
       WHERE c.name = '${projectionName}'`,
      values,
    )
    return row?.log_id === settings.logId && row.fold_version === foldVersion ? row : null
  }

  return {
    async checkpoint() {
      return (await beside('', '', []))?.checkpoint ?? null
    },

    // A random block, then a random row of it: as quick at any size (0.7 ms among 600,000 rows), while a random point among the ids would nearly
    // always fall beside the few prefixes that ids have, and TABLESAMPLE looks at every block's number. Every row is
    // reached; one in a block with few rows is so more often.
    async randomOperation(random) {
      const [table] = await query<{ blocks: bigint }>(
        `SELECT pg_relation_size('${schemaName}.operations') / current_setting('block_size')::bigint AS blocks`,
      )
      const blocks = Number(table?.blocks ?? 0n)
      if (blocks === 0) return null
      for (let tries = 0; tries < blockTriesMax; tries += 1) {
        const block = Math.floor(random() * blocks)
        const rows = await query<{ id: string }>(
          `SELECT id FROM ${schemaName}.operations WHERE ctid >= $1::tid AND ctid < $2::tid`,
          [`(${block},0)`, `(${block + 1},0)`],
        )
        const row = rows[Math.floor(random() * rows.length)]
        if (row !== undefined) return row.id
      }
      return null
    },

    async operation(id) {
      const found = await beside<Maybe<OperationColumns>>(
        `, o.shape, o.updated_at, o.opened_at, o.since_at, o.heard_at, t.standings, o.revision, o.position AS at, o.facets,
           o.state, o.data, o.metadata, s.pipeline AS shape_pipeline, s.state AS shape_state, s.tracks AS shape_tracks,
           jsonb_build_object(
             'blocked', s.blocked, 'held', s.held, 'failed', s.failed, 'since', s.since, 'heard', s.heard,
             'changedTracks', s.changed_tracks,
             'standings', (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each_text(s.standings))
           ) AS shape_flags,
           p.revision AS parked_revision, p.position AS parked_at, p.reason AS parked_reason`,
        // Tables in the order in which all who read several of them lock them.
        ` LEFT JOIN (
            ${schemaName}.shapes s RIGHT JOIN ${schemaName}.operations o ON o.shape = s.id AND s.operations > 0
          ) ON o.id = $1
          CROSS JOIN LATERAL (
            SELECT coalesce(jsonb_object_agg(t.track, ARRAY[t.standing::text, t.since_at::text]), '{}') AS standings
            FROM ${schemaName}.standings t WHERE t.id = $1
          ) t
          LEFT JOIN ${schemaName}.parked p ON p.stream = 'operation-' || $1`,
        [id],
      )
      if (found === null) return null
      const { checkpoint, parked_revision: revision, parked_at: position, parked_reason: reason } = found
      return {
        checkpoint,
        row: hasRow(found) ? storedRow(found) : null,
        parked: revision === null || position === null ? null : { revision, position, reason: reason ?? '' },
      }
    },

    async definition(name, version) {
      const [row] = await query<{ definition: unknown }>(
        `SELECT definition FROM ${schemaName}.pipelines WHERE name = $1 AND version = $2`,
        [name, version],
      )
      return row?.definition ?? null
    },

    async countsByName(status) {
      const rows = await query(`SELECT FROM ${schemaName}.shapes WHERE pipeline = $1 AND tracks ->> $2 = $3 LIMIT 1`, [
        anyPipeline.name,
        anyTrack,
        status,
      ])
      return rows.length > 0
    },

    // Ids are hashes: here a random point among them is fair.
    async randomShape(random) {
      const point = BigInt(Math.floor((random() * 2 - 1) * 2 ** 53)) * 2n ** 10n
      const [row] = await query<{ id: bigint | null }>(
        `SELECT coalesce(
           (SELECT id FROM ${schemaName}.shapes WHERE id >= $1::bigint ORDER BY id LIMIT 1),
           (SELECT min(id) FROM ${schemaName}.shapes)
         ) AS id`,
        [point],
      )
      return row?.id ?? null
    },

    async countShape(id, rowsMax) {
      const found = await beside<{ said: bigint | null; counted: bigint | null }>(
        `, s.operations AS said, CASE WHEN coalesce(s.operations, 0) <= $2::bigint THEN (
             SELECT count(*) FROM (
               SELECT FROM ${schemaName}.operations o WHERE o.shape = $1::bigint LIMIT $2::bigint + 1
             ) rows
           ) END AS counted`,
        ` LEFT JOIN ${schemaName}.shapes s ON s.id = $1::bigint`,
        [id, rowsMax],
      )
      return found === null ? null : { said: found.said ?? 0n, counted: found.counted }
    },

    close() {
      closing ??= pool.end()
      return closing
    },
  }
}

interface Beside {
  readonly checkpoint: bigint
  readonly log_id: string | null
  readonly fold_version: number | null
}

type Maybe<Columns> = { readonly [Column in keyof Columns]: Columns[Column] | null }

interface RowColumns {
  readonly shape: bigint
  readonly updated_at: bigint
  readonly opened_at: bigint
  readonly since_at: bigint
  readonly heard_at: bigint | null
  readonly standings: unknown
  readonly revision: bigint
  readonly at: bigint
  readonly state: string
  readonly data: string
  readonly metadata: string
}

interface OperationColumns extends RowColumns {
  readonly facets: readonly number[]
  readonly shape_pipeline: string
  readonly shape_state: string
  readonly shape_tracks: unknown
  readonly shape_flags: unknown
  readonly parked_revision: bigint
  readonly parked_at: bigint
  readonly parked_reason: string
}

type FoundRow = Maybe<OperationColumns> & RowColumns

function hasRow(found: Maybe<OperationColumns>): found is FoundRow {
  return found.revision !== null
}

function storedRow(found: FoundRow): StoredRow {
  const { shape, revision, facets, state, data, metadata, shape_pipeline: pipeline, shape_state: shapeState } = found
  return {
    shape,
    updatedAt: found.updated_at,
    openedAt: found.opened_at,
    sinceAt: found.since_at,
    heardAt: found.heard_at,
    standings: found.standings,
    revision,
    position: found.at,
    facets,
    state,
    data,
    metadata,
    shapeRow:
      pipeline === null || shapeState === null
        ? null
        : { pipeline, state: shapeState, tracks: found.shape_tracks, flags: found.shape_flags },
  }
}
