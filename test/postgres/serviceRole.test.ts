// On a server of its own: roles belong to the whole server, and every other test needs this one.
import { mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest'
import { createPool } from '../../src/postgres/connection.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/postgres/embedded.ts'
import { type MigrateResult, migrate } from '../../src/postgres/migrate.ts'

const PASSWORD = 'only-for-this-test'

let server: EmbeddedPostgres
let administrator: pg.Client
let directory: URL
beforeAll(async () => {
  const folder = await mkdtemp(join(inject('dataDirectory'), 'roles-'))
  server = await startEmbeddedPostgres({ dataDir: join(folder, 'server'), settings: { min_wal_size: '80MB' } })
  administrator = new pg.Client({ connectionString: server.connectionString })
  await administrator.connect()
  await writeFile(
    join(folder, '0001_things.sql'),
    `CREATE TABLE public.things (n int);
     DO $$ BEGIN
       IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'waybill_service') THEN
         GRANT SELECT ON public.things TO waybill_service;
       END IF;
     END $$;`,
  )
  directory = pathToFileURL(`${folder}/`)
})
afterAll(async () => {
  await administrator.end()
  await server.stop()
})

let count = 0
beforeEach(async () => {
  // A server that has never seen the role, as far as its name goes; faster than dropping all that depends on it.
  const { rowCount } = await administrator.query(`SELECT FROM pg_roles WHERE rolname = 'waybill_service'`)
  count += 1
  if (rowCount === 1) await administrator.query(`ALTER ROLE waybill_service RENAME TO waybill_service_${count}`)
})

/** A user who is no superuser, and a database that is theirs. */
async function newUser(rights: 'CREATEROLE' | 'NOCREATEROLE'): Promise<string> {
  count += 1
  const user = `user_${count}`
  await administrator.query(`CREATE ROLE ${user} LOGIN ${rights} PASSWORD '${PASSWORD}'`)
  return newDatabase(user)
}

async function newDatabase(user: string): Promise<string> {
  count += 1
  const database = `db_${count}`
  await administrator.query(`CREATE DATABASE ${database} OWNER ${user}`)
  const url = new URL(server.connectionString)
  url.username = user
  url.password = PASSWORD
  url.pathname = `/${database}`
  return url.toString()
}

function run(connectionString: string): Promise<MigrateResult> {
  return migrate({ connectionString, room: 'eventlog', directory })
}

/** What a service's session is, and may do. */
async function session(connectionString: string, role: string | null): Promise<unknown> {
  const pool = createPool({ connectionString, role, max: 1 })
  try {
    const { rows } = await pool.query<{ role: string; owner: boolean; reads: boolean; writes: boolean }>(
      `SELECT current_user AS role, has_table_privilege('things', 'SELECT') AS reads,
              has_table_privilege('things', 'INSERT') AS writes`,
    )
    return rows[0]
  } finally {
    await pool.end()
  }
}

const RESTRICTED = { role: 'waybill_service', reads: true, writes: false }

test('a superuser’s sessions run as the role', async () => {
  const { role, warning } = await run(server.connectionString)
  expect({ role, warning }).toEqual({ role: 'waybill_service', warning: null })
  expect(await session(server.connectionString, role)).toEqual(RESTRICTED)
})

test('a plain user with CREATEROLE makes the role and may take it on', async () => {
  const user = await newUser('CREATEROLE')
  const { role } = await run(user)
  expect(await session(user, role)).toEqual(RESTRICTED)
  expect((await run(user)).role).toBe('waybill_service')
})

test('migrators of four databases may make the role at the same moment', async () => {
  const first = await newUser('CREATEROLE')
  const user = new URL(first).username
  const all = [first]
  while (all.length < 4) all.push(await newDatabase(user))
  const results = await Promise.all(all.map(run))
  expect(results.map(({ role }) => role)).toEqual(all.map(() => 'waybill_service'))
  for (const database of all) expect(await session(database, 'waybill_service')).toEqual(RESTRICTED)
})

test('a user who may neither make nor take on the role works as itself, and is told', async () => {
  const user = await newUser('NOCREATEROLE')
  const { role, warning, applied } = await run(user)
  expect({ role, applied }).toEqual({ role: null, applied: ['0001_things'] })
  expect(warning).toContain('permission denied to create role')
  expect(await session(user, role)).toMatchObject({ writes: true })
})

test('a role made after the migrations, which granted it nothing, is not taken on', async () => {
  const user = await newUser('NOCREATEROLE')
  await run(user)
  await administrator.query(`CREATE ROLE waybill_service; GRANT waybill_service TO ${new URL(user).username}`)
  const { role, warning } = await run(user)
  expect(role).toBeNull()
  expect(warning).toContain('was made after the eventlog schema')
})

test('a user to whom an administrator has granted the role takes it on', async () => {
  const user = await newUser('NOCREATEROLE')
  await administrator.query(`CREATE ROLE waybill_service; GRANT waybill_service TO ${new URL(user).username}`)
  const { role } = await run(user)
  expect(await session(user, role)).toEqual(RESTRICTED)
})

test('a user with CREATEROLE on a server where somebody else made the role works as itself, and is told', async () => {
  const first = await newUser('CREATEROLE')
  await run(first)
  const second = await newUser('CREATEROLE')
  const { role, warning } = await run(second)
  expect(role).toBeNull()
  expect(warning).toContain('permission denied to grant role')
})
