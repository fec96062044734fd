import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { inject } from 'vitest'
// Also for the types of what it provides.
import { migratedTemplate } from './migratedTemplate.ts'
import './postgresServer.ts'

export interface TestDatabase {
  /** Of the superuser, on the database. */
  readonly connectionString: string
  readonly name: string
  /**
   * Deletes the database. Fails, after deleting it, when a connection to it is still open: a pool or client that was not
   * ended, named by its application and last query. `allowOpen` is for tests that leave processes or sessions dead behind.
   */
  drop(options?: { readonly allowOpen?: boolean }): Promise<void>
}

/** A connection that was ended takes the server some milliseconds to forget, and more on a busy machine. */
const CLOSING_TIMEOUT_MS = 5_000

/** An empty database on the run's server. */
export function createTestDatabase(): Promise<TestDatabase> {
  return createDatabase('template1')
}

/** A database with the schemas of all rooms, as a service leaves it after its first start, and an empty log of its own. */
export async function createMigratedDatabase(): Promise<TestDatabase> {
  const database = await createDatabase(migratedTemplate)
  await connected(database.connectionString, (client) =>
    client.query('UPDATE waybill_log.log_head SET log_id = gen_random_uuid()'),
  )
  return database
}

/** Nobody may be connected to `template`. */
export function copyStatement(template: string, copy: string): string {
  return `CREATE DATABASE ${copy} TEMPLATE ${template} ${inject('copyStrategy')}`
}

async function createDatabase(template: string): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`
  await asAdministrator((client) => client.query(copyStatement(template, name)))
  const url = new URL(inject('postgresConnectionString'))
  url.pathname = `/${name}`
  return {
    connectionString: url.toString(),
    name,
    drop: ({ allowOpen = false } = {}) =>
      asAdministrator(async (client) => {
        const open = allowOpen ? [] : await findOpen(client, name)
        await client.query(`DROP DATABASE ${name} WITH (FORCE)`)
        if (open.length > 0) throw new Error(`Connections left open: ${open.join('; ')}`)
      }),
  }
}

async function findOpen(client: pg.Client, database: string): Promise<string[]> {
  const deadline = performance.now() + CLOSING_TIMEOUT_MS
  for (;;) {
    const { rows } = await client.query<{ session: string }>(
      `SELECT format('%s (%s): %s', application_name, state, left(query, 200)) AS session
       FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'`,
      [database],
    )
    if (rows.length === 0 || performance.now() > deadline) return rows.map(({ session }) => session)
    await delay(10)
  }
}

function asAdministrator(work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  return connected(inject('postgresConnectionString'), work)
}

async function connected(connectionString: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString })
  client.on('error', () => undefined)
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}
