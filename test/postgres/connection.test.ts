import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { clientConfig, createPool, type PoolSettings } from '../../src/postgres/connection.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { patienceMs } from '../support/patience.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())

async function withPool<T>(settings: Partial<PoolSettings>, work: (pool: pg.Pool) => Promise<T>): Promise<T> {
  const pool = createPool({ connectionString: database.connectionString, max: 2, ...settings })
  try {
    return await work(pool)
  } finally {
    await pool.end()
  }
}

test('int8 arrives whole, also in arrays, and other types as ever', async () => {
  const { rows } = await withPool({}, (pool) =>
    pool.query(
      `SELECT 9223372036854775807 AS big, '{1,NULL,-9007199254740993}'::int8[] AS many, '{}'::int8[] AS none,
              7::int4 AS small, 'text' AS word, '{"a":1}'::json AS document`,
    ),
  )
  expect(rows).toEqual([
    {
      big: 9223372036854775807n,
      many: [1n, null, -9007199254740993n],
      none: [],
      small: 7,
      word: 'text',
      document: { a: 1 },
    },
  ])
})

test('every wait of a session has a bound', async () => {
  const names = [
    'statement_timeout',
    'lock_timeout',
    'idle_in_transaction_session_timeout',
    'client_connection_check_interval',
    'application_name',
  ]
  const read = (settings: Partial<PoolSettings>) =>
    withPool(settings, async (pool) => {
      const { rows } = await pool.query<{ value: string }>(
        'SELECT current_setting(name) AS value FROM unnest($1::text[]) AS name',
        [names],
      )
      return rows.map(({ value }) => value)
    })
  expect(await read({})).toEqual(['30s', '10s', '30s', '1s', 'waybill'])
  expect(
    await read({
      statementTimeoutMs: 1_500,
      lockTimeoutMs: 700,
      idleInTransactionTimeoutMs: 0,
      connectionCheckIntervalMs: 0,
      applicationName: 'another name',
    }),
  ).toEqual(['1500ms', '700ms', '0', '0', 'another name'])
})

test('options of the connection string are kept beside ours', async () => {
  const url = new URL(database.connectionString)
  url.searchParams.set('options', '-c work_mem=5MB -c waybill.note=two\\ words')
  const { rows } = await withPool({ connectionString: url.toString(), role: 'pg_read_all_data' }, (pool) =>
    pool.query(
      `SELECT current_user AS role, current_setting('work_mem') AS memory, current_setting('waybill.note') AS note`,
    ),
  )
  expect(rows).toEqual([{ role: 'pg_read_all_data', memory: '5MB', note: 'two words' }])
})

test('a full pool refuses after its bound instead of waiting for ever', async () => {
  await withPool({ max: 1, connectTimeoutMs: 1_000 }, async (pool) => {
    const client = await pool.connect()
    await expect(pool.query('SELECT 1')).rejects.toThrow(/timeout/)
    client.release()
    await pool.query('SELECT 1')
  })
})

test('a pool outlives the loss of an idle connection, and says so', async () => {
  let lost: (error: Error) => void = () => undefined
  const loss = new Promise<Error>((resolve) => {
    lost = resolve
  })
  await withPool({ onIdleError: (error) => lost(error) }, async (pool) => {
    const { rows } = await pool.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    const administrator = new pg.Client(clientConfig({ connectionString: database.connectionString }))
    await administrator.connect()
    await administrator.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid])
    await administrator.end()
    expect((await loss).message).toContain('terminating connection')
    await pool.query('SELECT 1')
  })
})

test('a pool outlives the loss of a connection that was taken out of it', async () => {
  await withPool({}, async (pool) => {
    const client = await pool.connect()
    const ended = new Promise<void>((resolve) => client.once('end', resolve))
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    await pool.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid])
    await ended
    await expect(client.query('SELECT 1')).rejects.toThrow()
    client.release(true)
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })
})

test('what a vanished client left waiting for a lock is gone while the lock is still held', async () => {
  await withPool({}, async (pool) => {
    await pool.query('CREATE TABLE locked AS SELECT 1 AS n')
    const holder = await pool.connect()
    await holder.query('BEGIN; UPDATE locked SET n = 2')
    const waiter = new pg.Client(
      clientConfig({ connectionString: database.connectionString, connectionCheckIntervalMs: 100 }),
    )
    waiter.on('error', () => undefined)
    await waiter.connect()
    const { rows } = await waiter.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    const waiting = waiter.query('UPDATE locked SET n = 3').catch(() => undefined)
    const sessions = async () => {
      const { rows: found } = await pool.query<{ wait: string | null }>(
        'SELECT wait_event_type AS wait FROM pg_stat_activity WHERE pid = $1',
        [rows[0]?.pid],
      )
      return found.map(({ wait }) => wait)
    }
    await expect.poll(sessions, { interval: 10, timeout: patienceMs }).toEqual(['Lock'])
    const { stream } = (waiter as pg.Client & { connection: { stream: { destroy(): void } } }).connection
    stream.destroy()
    await expect.poll(sessions, { interval: 10, timeout: patienceMs }).toEqual([])
    await waiting
    await holder.query('ROLLBACK')
    holder.release()
  })
})
