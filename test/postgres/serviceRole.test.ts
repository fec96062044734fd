// On a server of its own: roles belong to the whole server, and every other test needs this one.
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest'
import { migrateAccess } from '../../src/access/openAccess.ts'
import { readConfig } from '../../src/config.ts'
import { migrateEventLog } from '../../src/eventlog/postgres/migrateEventLog.ts'
import { createPool } from '../../src/postgres/connection.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/postgres/embedded.ts'
import { type MigrateResult, migrate } from '../../src/postgres/migrate.ts'
import { migrateReadModel } from '../../src/projections/projections.ts'
import { startService } from '../../src/service.ts'
import { migrateSnapshots } from '../../src/snapshots/postgresSnapshots.ts'

const PASSWORD = 'only-for-this-test'

let server: EmbeddedPostgres
let administrator: pg.Client
let directory: URL
beforeAll(async () => {
  const folder = await mkdtemp(join(inject('dataDirectory'), 'roles-'))
  server = await startEmbeddedPostgres({ dataDir: join(folder, 'server'), settings: { min_wal_size: '80MB' } })
  administrator = new pg.Client({ connectionString: server.connectionString })
  await administrator.connect()
  await writeFile(join(folder, '0001_things.sql'), 'CREATE TABLE public.things (n int);')
  await mkdir(join(folder, 'grants'))
  await writeFile(join(folder, 'grants', 'grants.sql'), 'GRANT SELECT ON public.things TO waybill_service;')
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
  return migrate({ connectionString, module: 'eventlog', directory, grants: new URL('grants/grants.sql', directory) })
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

async function query(connectionString: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
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

/** What the warning says that an administrator runs. */
function statementsOf(warning: string | null): string {
  const [, statements] = /runs at any time: (.*;) Waybill/.exec(warning ?? '') ?? []
  if (statements === undefined) throw new Error(`No statements in: ${warning}`)
  return statements
}

test('an owner without CREATEROLE works as itself; its warning is followed by an administrator, and the next start takes the role on', async () => {
  const user = await newUser('NOCREATEROLE')
  const { role, warning, applied } = await run(user)
  expect({ role, applied }).toEqual({ role: null, applied: ['0001_things'] })
  expect(warning).toContain('permission denied to create role')
  expect(await session(user, role)).toMatchObject({ writes: true })
  // Nothing changes by itself.
  expect(await run(user)).toEqual({ role: null, applied: [], warning })

  const name = new URL(user).username
  expect(statementsOf(warning)).toBe(`CREATE ROLE waybill_service; GRANT waybill_service TO ${name};`)
  await administrator.query(statementsOf(warning))
  expect(await run(user)).toEqual({ role: 'waybill_service', applied: [], warning: null })
  expect(await session(user, 'waybill_service')).toEqual(RESTRICTED)
  expect((await run(user)).role).toBe('waybill_service')
})

test('what docs/operations.md has a superuser run prepares a database for sessions that run as the role', async () => {
  const page = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8')
  const [, statements = ''] = /^```sql\n(CREATE ROLE.*?)^```$/ms.exec(page) ?? []
  count += 1
  // The superuser here has the name that the page gives to the owner, and the server's login that of the other.
  const names = (name: string) => (name === 'waybill' ? `owner_${count}` : `server_${count}`)
  for (const statement of statements.replaceAll(/\bwaybill(_server)?\b/g, names).split(/(?<=;)\n/)) {
    await administrator.query(statement)
  }
  const url = new URL(server.connectionString)
  url.username = `owner_${count}`
  url.password = 'change-me'
  url.pathname = `/owner_${count}`
  const { role, warning } = await run(url.href)
  expect(warning).toBeNull()
  expect(await session(url.href, role)).toEqual(RESTRICTED)
})

test('a user with a name that SQL has to quote is named so', async () => {
  const user = await newUser('NOCREATEROLE')
  const name = `Odd "name" ${count}`
  await administrator.query(`ALTER ROLE ${new URL(user).username} RENAME TO "${name.replaceAll('"', '""')}"`)
  const url = new URL(user)
  url.username = name
  await administrator.query(statementsOf((await run(url.href)).warning))
  expect(await session(url.href, (await run(url.href)).role)).toEqual(RESTRICTED)
})

test('a user to whom an administrator has granted the role takes it on', async () => {
  const user = await newUser('NOCREATEROLE')
  await administrator.query(`CREATE ROLE waybill_service; GRANT waybill_service TO ${new URL(user).username}`)
  const { role } = await run(user)
  expect(await session(user, role)).toEqual(RESTRICTED)
})

test('a user with CREATEROLE on a server where somebody else made the role is told to be granted it, not to make it', async () => {
  const first = await newUser('CREATEROLE')
  await run(first)
  const second = await newUser('CREATEROLE')
  const { role, warning } = await run(second)
  expect(role).toBeNull()
  expect(warning).toContain('permission denied to grant role')
  expect(statementsOf(warning)).toBe(`GRANT waybill_service TO ${new URL(second).username};`)
  // Whoever made the role has the ADMIN option on it.
  await query(first, statementsOf(warning))
  expect(await session(second, (await run(second)).role)).toEqual(RESTRICTED)
})

test('grants that a restore has left out, on a server without the role, are made again', async () => {
  const user = await newUser('CREATEROLE')
  await run(user)
  await query(user, 'REVOKE ALL ON public.things FROM waybill_service; CREATE SCHEMA waybill_log')
  const { role } = await run(user)
  expect(await session(user, role)).toEqual(RESTRICTED)
})

/** The schemas of all rooms, made by the user of the connection string. */
async function migrateAll(connectionString: string): Promise<void> {
  for (const room of [migrateEventLog, migrateReadModel, migrateAccess, migrateSnapshots]) await room(connectionString)
}

/** All that has been granted to the role in a database, of schemas, tables, columns and functions. */
async function granted(connectionString: string): Promise<string[]> {
  const pool = createPool({ connectionString, max: 1 })
  try {
    const { rows } = await pool.query<{ line: string }>(`
      WITH granted (object, acl) AS (
        SELECT 'schema ' || nspname, nspacl FROM pg_namespace
        UNION ALL SELECT 'table ' || oid::regclass, relacl FROM pg_class
        UNION ALL SELECT format('column %s.%s', attrelid::regclass, attname), attacl FROM pg_attribute
        UNION ALL SELECT 'function ' || oid::regprocedure, proacl FROM pg_proc
      )
      SELECT x.privilege_type || ' on ' || g.object AS line
      FROM granted g CROSS JOIN LATERAL aclexplode(g.acl) x JOIN pg_roles r ON r.oid = x.grantee
      WHERE r.rolname = 'waybill_service' ORDER BY 1`)
    return rows.map(({ line }) => line)
  } finally {
    await pool.end()
  }
}

test('a role that an administrator made after all schemas gets what one made before gets (a difference: see to the grants.sql files)', async () => {
  const later = await newUser('NOCREATEROLE')
  await migrateAll(later)
  // A rebuild that is under way has tables of its own.
  await query(later, `SELECT waybill_read.open_shadow('operations', 0, 'some log', 1)`)
  await query(later, `UPDATE waybill_shadow.checkpoints SET log_id = NULL`)
  const { username } = new URL(later)
  await administrator.query(`CREATE ROLE waybill_service; GRANT waybill_service TO ${username}`)
  const before = await newDatabase(username)
  await migrateAll(before)
  await query(before, `SELECT waybill_read.open_shadow('operations', 0, 'some log', 1)`)
  expect(await granted(later)).toEqual([])

  await migrateAll(later)
  const all = await granted(before)
  expect(all.length).toBeGreaterThan(50)
  expect(await granted(later)).toEqual(all)
})

test('the service of an owner without CREATEROLE serves, and as the role once that was granted', async () => {
  const user = await newUser('NOCREATEROLE')
  const warnings: string[] = []
  const quiet = () => undefined
  const logger = { trace: quiet, debug: quiet, info: quiet, error: quiet, fatal: quiet }
  const serve = async (id: string) => {
    warnings.length = 0
    const service = await startService({
      config: readConfig({ DATABASE_URL: user, WAYBILL_PORT: '0' }),
      logger: { ...logger, warn: (_details: object, message: string) => warnings.push(message) },
    })
    try {
      const body = JSON.stringify({ pipeline: 'any', service: 'ocr', status: 'read' })
      const headers = { 'content-type': 'application/json' }
      const answer = await fetch(`${service.url}/v1/operations/${id}/reports`, { method: 'POST', headers, body })
      const { position } = (await answer.json()) as { position: string }
      const list = await fetch(`${service.url}/v1/operations?minPosition=${position}`)
      const { operations } = (await list.json()) as { operations: { id: string }[] }
      return operations.map((operation) => operation.id).sort()
    } finally {
      await service.stop()
    }
  }
  expect(await serve('one')).toEqual(['one'])
  expect(warnings).toHaveLength(1)
  await administrator.query(statementsOf(warnings[0] ?? null))
  // What the role lacked would be denied to it: of the log, the read model, the keys and the snapshots.
  expect(await serve('two')).toEqual(['one', 'two'])
  // Of the owner's own login, which can lay the role off.
  expect(warnings).toEqual([expect.stringContaining('lay off at any time')])
})
