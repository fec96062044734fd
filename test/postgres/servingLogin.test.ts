import { mkdtemp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest'
import { ConfigError, readConfig } from '../../src/config.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/postgres/embedded.ts'
import { ServingLoginError } from '../../src/postgres/servingLogin.ts'
import { startService } from '../../src/service.ts'
import { startupError } from '../../src/startupError.ts'

const PASSWORD = 'change-me'
let folder: string
let server: EmbeddedPostgres
let administrator: pg.Client

beforeAll(async () => {
  folder = await mkdtemp(join(inject('dataDirectory'), 'serving-'))
  server = await startEmbeddedPostgres({ dataDir: folder, settings: { min_wal_size: '80MB' } })
  administrator = new pg.Client({ connectionString: server.connectionString })
  await administrator.connect()
  await administrator.query('CREATE ROLE waybill_service')
})
afterAll(async () => {
  await administrator.end()
  await server.stop()
})

function urlOf(user: string, database: string, password = PASSWORD): string {
  const url = new URL(server.connectionString)
  url.username = user
  url.password = password
  url.pathname = `/${database}`
  return url.href
}

let count = 0

/** A database of its own, its owner, and a login that owns nothing. */
async function newDatabase({ isMember = true, mayGrant = false, options = '' } = {}) {
  count += 1
  const [owner, login] = [`owner_${count}`, `server_${count}`]
  await administrator.query(`CREATE ROLE ${owner} LOGIN PASSWORD '${PASSWORD}'`)
  await administrator.query(`CREATE DATABASE ${owner} OWNER ${owner}`)
  await administrator.query(`CREATE ROLE ${login} LOGIN ${options} PASSWORD '${PASSWORD}'`)
  await administrator.query(`GRANT waybill_service TO ${owner} ${mayGrant ? 'WITH ADMIN OPTION' : ''}`)
  if (isMember) await administrator.query(`GRANT waybill_service TO ${login}`)
  return { owner, login, ownerUrl: urlOf(owner, owner), servingUrl: urlOf(login, owner) }
}

/** Starts a service, has it take a report and show it, and stops it. Resolves to what it warned of. */
async function serve(environment: Record<string, string>): Promise<string[]> {
  const warnings: string[] = []
  const quiet = () => undefined
  const service = await startService({
    config: readConfig({ WAYBILL_PORT: '0', ...environment }),
    logger: {
      info: quiet,
      error: quiet,
      warn: (_fields: object, message: string) => warnings.push(message),
    },
  })
  try {
    const answer = await fetch(`${service.url}/v1/operations/one/reports`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ pipeline: 'any', service: 'ocr', status: 'read' }),
    })
    const { position } = (await answer.json()) as { position: string }
    const list = await fetch(`${service.url}/v1/operations?minPosition=${position}`)
    expect(((await list.json()) as { operations: unknown[] }).operations).toHaveLength(1)
  } finally {
    await service.stop()
  }
  return warnings
}

test('with two URLs the owner migrates and the other login serves, without a warning', async () => {
  const { ownerUrl, servingUrl } = await newDatabase()
  expect(await serve({ DATABASE_URL: servingUrl, WAYBILL_MIGRATION_DATABASE_URL: ownerUrl })).toEqual([])
  // Once that is done, the owner's is not needed until there is something to migrate.
  expect(await serve({ DATABASE_URL: servingUrl })).toEqual([])
})

test('a login that does not inherit serves as well', async () => {
  const { ownerUrl, servingUrl } = await newDatabase({ options: 'NOINHERIT' })
  expect(await serve({ DATABASE_URL: servingUrl, WAYBILL_MIGRATION_DATABASE_URL: ownerUrl })).toEqual([])
})

test('what docs/operations.md has a superuser run prepares a database for two URLs', async () => {
  const page = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8')
  const blocks = [...page.matchAll(/^```sql\n((?:CREATE ROLE|REVOKE).*?)^```$/gms)].map(([, block = '']) => block)
  count += 1
  const names = { waybill: `owner_${count}`, waybill_server: `server_${count}` }
  const [first = '', ...later] = blocks.map((block) =>
    block
      .replace(/^CREATE ROLE waybill_service;\n/m, '')
      .replaceAll(/\bwaybill(_server)?\b/g, (name) => names[name as keyof typeof names]),
  )
  for (const statement of first.split(/(?<=;)\n/)) await administrator.query(statement)
  const inside = new pg.Client({ connectionString: urlOf(names.waybill, names.waybill) })
  await inside.connect()
  for (const block of later) await inside.query(block)
  await inside.end()
  expect(later.length).toBeGreaterThan(0)
  const environment = {
    DATABASE_URL: urlOf(names.waybill_server, names.waybill, 'change-me-too'),
    WAYBILL_MIGRATION_DATABASE_URL: urlOf(names.waybill, names.waybill),
  }
  expect(await serve(environment)).toEqual([])
  const { rows } = await administrator.query(
    `SELECT has_database_privilege($1, $2, 'CREATE') OR has_database_privilege($1, $2, 'TEMPORARY') AS makes`,
    [names.waybill_server, names.waybill],
  )
  expect(rows).toEqual([{ makes: false }])
})

test('with the owner’s URL alone it serves, and says once that the role can be laid off', async () => {
  const { owner, ownerUrl } = await newDatabase()
  const warnings = await serve({ DATABASE_URL: ownerUrl })
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toContain(`its login ${owner} can lay off at any time: it owns the log`)
  expect(warnings[0]).toContain('docs/operations.md')
})

test.each([
  ['SUPERUSER', 'is a superuser'],
  ['CREATEROLE', 'may make roles'],
  ['CREATEDB', 'may make databases'],
  ['REPLICATION', 'may replicate'],
  ['BYPASSRLS', 'bypasses row-level security'],
  ['IN ROLE pg_write_server_files', 'has the role pg_write_server_files'],
])('a second login that is mightier than it must be is told of: %s', async (options, power) => {
  const { ownerUrl, servingUrl } = await newDatabase({ options })
  const warnings = await serve({ DATABASE_URL: servingUrl, WAYBILL_MIGRATION_DATABASE_URL: ownerUrl })
  expect(warnings).toEqual([expect.stringContaining(`it ${power}.`)])
})

test('a second login that may become the owner is told of', async () => {
  const { owner, login, ownerUrl, servingUrl } = await newDatabase()
  await administrator.query(`GRANT ${owner} TO ${login}`)
  const warnings = await serve({ DATABASE_URL: servingUrl, WAYBILL_MIGRATION_DATABASE_URL: ownerUrl })
  expect(warnings).toEqual([expect.stringContaining('may become its owner')])
})

/** The sentence that a start ends with. */
async function refusal(environment: Record<string, string>): Promise<string> {
  const error: unknown = await serve(environment).then(
    () => null,
    (thrown: unknown) => thrown,
  )
  return startupError(error, readConfig(environment)) ?? `not foreseen: ${String(error)}`
}

test('a login to which the role was not granted is granted it by an owner who may', async () => {
  const { ownerUrl, servingUrl } = await newDatabase({ isMember: false, mayGrant: true })
  expect(await serve({ DATABASE_URL: servingUrl, WAYBILL_MIGRATION_DATABASE_URL: ownerUrl })).toEqual([])
})

test('where nobody may grant it the start ends, and says what to run', async () => {
  const { login, ownerUrl, servingUrl } = await newDatabase({ isMember: false })
  const environment = { DATABASE_URL: servingUrl, WAYBILL_MIGRATION_DATABASE_URL: ownerUrl }
  const sentence = await refusal(environment)
  expect(sentence).toContain(`A superuser runs: GRANT waybill_service TO ${login};`)
  await administrator.query(/runs: (GRANT [^;]*;)/.exec(sentence)?.[1] ?? '')
  expect(await serve(environment)).toEqual([])
})

test('two URLs of different databases end the start', async () => {
  const [one, other] = [await newDatabase(), await newDatabase()]
  await expect(serve({ DATABASE_URL: other.servingUrl, WAYBILL_MIGRATION_DATABASE_URL: one.ownerUrl })).rejects.toThrow(
    ServingLoginError,
  )
})

test('a login that owns nothing, without the owner’s URL, on a database that has to be migrated: the start ends', async () => {
  const { servingUrl } = await newDatabase()
  expect(await refusal({ DATABASE_URL: servingUrl })).toContain('WAYBILL_MIGRATION_DATABASE_URL')
  // Made, and then left behind by a newer version.
  const { ownerUrl, servingUrl: later } = await newDatabase()
  await serve({ DATABASE_URL: later, WAYBILL_MIGRATION_DATABASE_URL: ownerUrl })
  const client = new pg.Client({ connectionString: ownerUrl })
  await client.connect()
  onTestFinished(() => client.end())
  await client.query(`DROP SCHEMA waybill_snapshots CASCADE; DELETE FROM waybill.migrations WHERE room = 'snapshots'`)
  expect(await refusal({ DATABASE_URL: later })).toContain('WAYBILL_MIGRATION_DATABASE_URL')
})

test('the owner’s URL means nothing for the embedded server', () => {
  expect(() => readConfig({ WAYBILL_MIGRATION_DATABASE_URL: 'postgres://waybill@localhost/waybill' })).toThrow(
    ConfigError,
  )
  expect(() => readConfig({ WAYBILL_MIGRATION_DATABASE_URL: 'mysql://waybill@localhost/waybill' })).toThrow(
    /must begin with postgres/,
  )
})

test('the embedded server’s login has another password at each start, and what an operator gave it beside is taken away', async () => {
  const own = await mkdtemp(join(inject('dataDirectory'), 'serving-'))
  const first = await startEmbeddedPostgres({ dataDir: own, settings: { min_wal_size: '80MB' } })
  const client = new pg.Client({ connectionString: first.connectionString })
  await client.connect()
  await client.query(`ALTER ROLE waybill_server SUPERUSER CREATEROLE VALID UNTIL '2000-01-01'`)
  await client.end()
  const { password: before } = new URL(first.servingConnectionString)
  await first.stop()
  const second = await startEmbeddedPostgres({
    dataDir: own,
    settings: { min_wal_size: '80MB', log_statement: 'all', log_min_duration_statement: '0' },
  })
  onTestFinished(() => second.stop())
  const { password } = new URL(second.servingConnectionString)
  expect(password).not.toBe(before)
  const login = new pg.Client({ connectionString: second.servingConnectionString })
  await login.connect()
  const { rows } = await login.query(
    'SELECT rolsuper OR rolcreaterole AS mighty FROM pg_roles WHERE rolname = session_user',
  )
  await login.end()
  expect(rows).toEqual([{ mighty: false }])
  const log = await readFile(join(own, 'postgres.log'), 'utf8')
  expect(log).toContain('pg_roles')
  expect(log).not.toContain(password)
})
