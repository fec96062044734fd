import { hash } from 'node:crypto'
import { boundedBy, createPool, type PoolSettings } from '../postgres/connection.ts'
import { type MigrateResult, migrate } from '../postgres/migrate.ts'
import type { SnapshotStore } from './snapshotStore.ts'

export interface SnapshotSettings {
  readonly connectionString: string
  /** Of the log that the snapshots are of. */
  readonly logId: string
  readonly role?: string | null
  readonly admit?: PoolSettings['admit']
}

/** Brings the snapshots' schema up to date; run before `openSnapshots`, as the owner of the database. */
export function migrateSnapshots(connectionString: string): Promise<MigrateResult> {
  return migrate({
    connectionString,
    module: 'snapshots',
    directory: new URL('./migrations/', import.meta.url),
    grants: new URL('./grants.sql', import.meta.url),
  })
}

/** Snapshots in PostgreSQL, beside the read model wherever the log is. Connects when it is first used; once closed it keeps nothing. */
export function openSnapshots({
  connectionString,
  logId,
  role,
  admit,
}: SnapshotSettings): SnapshotStore & { close(): Promise<void> } {
  // Whoever asks can do without: no wait is worth being long.
  const pool = createPool({
    connectionString,
    applicationName: 'waybill snapshots',
    max: 2,
    ...boundedBy(1_000),
    role,
    admit,
  })
  let isClosed = false
  return {
    async read(operation) {
      const { rows } = await pool.query<{ content: string; digest: Buffer }>(
        'SELECT content, digest FROM waybill_snapshots.snapshots WHERE operation = $1 AND log_id = $2',
        [operation, logId],
      )
      const [row] = rows
      return row !== undefined && digestOf(row.content).equals(row.digest) ? row.content : null
    },
    async write({ operation, revision, text }) {
      if (isClosed) return
      await pool.query(
        `INSERT INTO waybill_snapshots.snapshots (operation, log_id, revision, content, digest) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (operation) DO UPDATE
           SET log_id = excluded.log_id, revision = excluded.revision, content = excluded.content, digest = excluded.digest`,
        [operation, logId, revision, text, digestOf(text)],
      )
    },
    async close() {
      isClosed = true
      await pool.end()
    },
  }
}

function digestOf(text: string): Buffer {
  return hash('sha256', text, 'buffer')
}
