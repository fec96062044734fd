import pg from 'pg'
import { clientConfig } from '../../../src/postgres/connection.ts'
import { SERVICE_ROLE } from '../../../src/postgres/serviceRole.ts'
import { createMigratedDatabase } from '../../support/database.ts'
import { eventually } from './eventually.ts'

export interface ReadModelDatabase {
  readonly connectionString: string
  /** The service's role: what tests start runs as it. */
  readonly role: string
  /** As the owner, beside the service. */
  readonly admin: pg.Client
  /** Runs `work` while another session holds the table: nobody else can write it. */
  withTableLocked<T>(table: string, work: () => Promise<T>): Promise<T>
  /** Queues for the lock, does `meanwhile`, and runs `work` once it has the lock. */
  withAdvisoryLock(lock: bigint, meanwhile: () => Promise<void>, work: () => Promise<void>): Promise<void>
  drop(): Promise<void>
}

export async function createReadModelDatabase(): Promise<ReadModelDatabase> {
  const database = await createMigratedDatabase()
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client(clientConfig({ connectionString: database.connectionString }))
    client.on('error', () => undefined)
    await client.connect()
    await client.query('SET search_path TO waybill_read')
    return client
  }
  const admin = await connect()
  return {
    connectionString: database.connectionString,
    role: SERVICE_ROLE,
    admin,
    async withTableLocked(table, work) {
      const locker = await connect()
      try {
        await locker.query('BEGIN')
        await locker.query(`LOCK TABLE ${table} IN EXCLUSIVE MODE`)
        return await work()
      } finally {
        await locker.end()
      }
    },
    async withAdvisoryLock(lock, meanwhile, work) {
      const locker = await connect()
      try {
        const locked = locker.query('SELECT pg_advisory_lock($1)', [lock])
        await eventually('the lock is queued for', async () => {
          const { rowCount } = await admin.query(
            "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
          )
          return rowCount === 1 ? true : undefined
        })
        await meanwhile()
        await locked
        await work()
      } finally {
        await locker.end()
      }
    },
    async drop() {
      await admin.end()
      await database.drop()
    },
  }
}

export interface Rows {
  readonly operations: readonly object[]
  readonly shapes: readonly object[]
  readonly standings: readonly object[]
  readonly parked: readonly object[]
  readonly pipelines: readonly object[]
}

/** All that the projection wrote, in a fixed order. Shapes without operations are none. */
export async function allRows(admin: pg.Client): Promise<Rows> {
  const rows = async (text: string): Promise<readonly object[]> => (await admin.query(text)).rows
  return {
    operations: await rows('SELECT * FROM operations ORDER BY id'),
    shapes: await rows('SELECT * FROM shapes WHERE operations <> 0 ORDER BY id'),
    standings: await rows('SELECT * FROM standings ORDER BY id, track'),
    parked: await rows('SELECT * FROM parked ORDER BY stream'),
    pipelines: await rows('SELECT * FROM pipelines ORDER BY name, version'),
  }
}
