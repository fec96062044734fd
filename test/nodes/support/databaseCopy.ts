import pg from 'pg'
import { inject } from 'vitest'
import { copyStatement } from '../../support/database.ts'

/** A copy of a database under another name, as of now. Its sessions are ended; they may come back at once after. */
export async function copyDatabase(name: string, copy: string): Promise<void> {
  await undisturbed(name, (client) => client.query(copyStatement(name, copy)))
}

/** Puts `other` in the place of a database, which is kept as `<name>_before`. */
export async function replaceDatabase(name: string, other: string): Promise<void> {
  await undisturbed(name, async (client) => {
    await client.query(`ALTER DATABASE ${name} RENAME TO ${name}_before`)
    await client.query(`ALTER DATABASE ${other} RENAME TO ${name}`)
  })
}

export async function dropDatabase(name: string): Promise<void> {
  await asAdministrator((client) => client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`))
}

async function undisturbed(name: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  await asAdministrator(async (client) => {
    const { rows } = await client.query<{ oid: number }>('SELECT oid FROM pg_database WHERE datname = $1', [name])
    await client.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`)
    try {
      // Waits, each for 5 s at most, until the sessions have ended.
      await client.query('SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1', [name])
      await work(client)
    } finally {
      await client.query('UPDATE pg_database SET datallowconn = true WHERE oid = $1', [rows[0]?.oid])
    }
  })
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
