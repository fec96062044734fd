import pg from 'pg'
import { openPostgresEventLog } from '../../src/eventlog/postgres/postgresEventLog.ts'
import { createMigratedDatabase } from '../support/database.ts'
import { describeEventLogContract } from './eventLogContract.ts'

describeEventLogContract('PostgreSQL', async () => {
  const database = await createMigratedDatabase()
  return {
    open: () => openPostgresEventLog({ connectionString: database.connectionString }),
    disturb: (signal) => disturb(database.connectionString, signal),
    close: () => database.drop(),
  }
})

/** Sessions that take the head's lock as a writer does, write, and then commit late, roll back, or die. */
async function disturb(connectionString: string, signal: AbortSignal): Promise<void> {
  const ends = ['commit late', 'roll back', 'die'] as const
  for (let turn = 0; !signal.aborted; turn += 1) {
    const client = new pg.Client({ connectionString })
    client.on('error', () => undefined)
    await client.connect()
    await client.query('BEGIN')
    const { rows } = await client.query('SELECT position FROM waybill_log.log_head FOR UPDATE')
    const end = ends[turn % ends.length]
    if (end !== 'commit late') {
      // What it wrote must never be seen.
      await client.query(
        `INSERT INTO waybill_log.events (position, revision, stream_number, id, type, data, metadata)
         VALUES ($1::bigint + 1, 0, 1000000000, gen_random_uuid(), 'Lost', '{}', '{}')`,
        [rows[0].position],
      )
    }
    await client.query('SELECT pg_sleep(0.02)')
    if (end === 'die') {
      const admin = new pg.Client({ connectionString })
      await admin.connect()
      const { rows: own } = await client.query('SELECT pg_backend_pid() AS pid')
      await admin.query('SELECT pg_terminate_backend($1)', [own[0].pid])
      await admin.end()
    } else {
      await client.query(end === 'commit late' ? 'COMMIT' : 'ROLLBACK')
    }
    await client.end().catch(() => undefined)
  }
}
