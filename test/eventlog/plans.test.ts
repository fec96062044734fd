import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { migrateEventLog } from '../../src/eventlog/postgres/migrateEventLog.ts'
import { openPostgresEventLog } from '../../src/eventlog/postgres/postgresEventLog.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { newEvent, newStream } from './logDatabase.ts'

let database: TestDatabase
let owner: pg.Client

// Migrated here: whatever else wrote to the head before would be counted.
beforeAll(async () => {
  database = await createTestDatabase()
  await migrateEventLog(database.connectionString)
  owner = new pg.Client({ connectionString: database.connectionString })
  await owner.connect()
})
afterAll(async () => {
  await owner.end()
  await database.drop()
})

async function statistics(): Promise<Record<string, { scans: number; updates: number; hotUpdates: number }>> {
  await owner.query('SELECT pg_stat_clear_snapshot()')
  const { rows } = await owner.query(
    `SELECT relname, seq_scan::int AS scans, n_tup_upd::int AS updates, n_tup_hot_upd::int AS "hotUpdates"
     FROM pg_stat_user_tables WHERE schemaname = 'waybill_log'`,
  )
  return Object.fromEntries(rows.map(({ relname, ...counts }) => [relname, counts]))
}

// Plans are kept for as long as a session lives. Those made while the tables were a page long must do for long tables, too.
it('appends and reads never scan the log, and the head is updated in place', async () => {
  const before = await statistics()
  const log = await openPostgresEventLog({ connectionString: database.connectionString })
  await log.append([newStream(), newStream()])
  await owner.query('ANALYZE waybill_log.events, waybill_log.streams')
  const batch = Array.from({ length: 500 }, () => newStream())
  await log.append(batch)
  for (let revision = 0n; revision < 8n; revision += 1n) {
    await log.append(batch.map(({ stream }) => ({ stream, expectedRevision: revision, events: [newEvent()] })))
  }
  const [first] = batch
  for (const direction of ['forwards', 'backwards'] as const) {
    await Promise.all(batch.map(({ stream }) => log.readStream(stream, { maxCount: 5, direction })))
  }
  await log.readEvent(first!.stream, first!.events[0]!.id)
  expect(await log.readAll({ after: 0n, maxCount: 10_000 })).toHaveLength(4_502)
  await log.head()
  await log.close()
  // A session's counts arrive with its end at the latest.
  // Ten calls, of which two open streams and then put the head right.
  await expect.poll(async () => (await statistics()).log_head?.updates).toBe(12)
  const after = await statistics()
  expect(after.events?.scans).toBe(before.events?.scans)
  expect(after.streams?.scans).toBe(before.streams?.scans)
  expect(after.log_head?.hotUpdates).toBe(12)
})
