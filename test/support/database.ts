import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { inject } from 'vitest'
import './postgresServer.ts'

export interface TestDatabase {
  /** Of the superuser, on the database. */
  readonly connectionString: string
  readonly name: string
  drop(): Promise<void>
}

/** An empty database on the run's server. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`
  await asAdministrator((client) => client.query(`CREATE DATABASE ${name} STRATEGY wal_log`))
  const url = new URL(inject('postgresConnectionString'))
  url.pathname = `/${name}`
  return {
    connectionString: url.toString(),
    name,
    drop: () => asAdministrator((client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`)),
  }
}

async function asAdministrator(work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: inject('postgresConnectionString') })
  client.on('error', () => undefined)
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}
