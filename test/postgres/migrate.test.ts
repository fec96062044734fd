import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from 'vitest'
import {
  ChangedMigrationError,
  type MigratedModule,
  type MigrateResult,
  MigrationError,
  migrate,
  NewerSchemaError,
} from '../../src/postgres/migrate.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
let folder: string
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())
beforeEach(async () => {
  folder = await mkdtemp(join(inject('scratchDirectory'), 'migrations-'))
  await writeFile(
    join(folder, '0001_things.sql'),
    'CREATE TABLE things (n int PRIMARY KEY);\nINSERT INTO things VALUES (1);\n',
  )
  await writeFile(join(folder, '0002_more_things.sql'), 'INSERT INTO things VALUES (2);\n')
  await mkdir(join(folder, 'grants'))
  await writeFile(join(folder, 'grants', 'grants.sql'), 'GRANT SELECT ON things TO waybill_service;')
})
afterEach(async () => {
  await query('DROP SCHEMA IF EXISTS waybill CASCADE; DROP TABLE IF EXISTS things, others')
  await rm(folder, { recursive: true })
})

function run(module: MigratedModule = 'eventlog', lockTimeoutMs = 20_000): Promise<MigrateResult> {
  const directory = pathToFileURL(`${folder}/`)
  const grants = new URL('grants/grants.sql', directory)
  return migrate({ connectionString: database.connectionString, module, directory, grants, lockTimeoutMs })
}

async function query(sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: database.connectionString })
  await client.connect()
  try {
    return (await client.query(sql)).rows as unknown[]
  } finally {
    await client.end()
  }
}

test('eight migrators at once run each migration once', async () => {
  const all = await Promise.all(Array.from({ length: 8 }, () => run()))
  expect(all.flatMap(({ applied }) => applied)).toEqual(['0001_things', '0002_more_things'])
  expect(all.map(({ role }) => role)).toEqual(Array.from({ length: 8 }, () => 'waybill_service'))
  expect(await query('SELECT n FROM things ORDER BY n')).toEqual([{ n: 1 }, { n: 2 }])
})

test('the ledger says what was applied; the next run applies what came since, and nothing twice', async () => {
  expect((await run()).applied).toEqual(['0001_things', '0002_more_things'])
  expect((await run()).applied).toEqual([])
  await writeFile(join(folder, '0003_yet_more.sql'), 'INSERT INTO things VALUES (3);')
  expect((await run()).applied).toEqual(['0003_yet_more'])
  expect(
    await query(`SELECT room, number, name, length(checksum) AS digits, service_role, applied_at <= now() AS past
                 FROM waybill.migrations WHERE number <> 2 ORDER BY number`),
  ).toEqual([
    { room: 'eventlog', number: 1, name: '0001_things', digits: 64, service_role: true, past: true },
    { room: 'eventlog', number: 3, name: '0003_yet_more', digits: 64, service_role: true, past: true },
  ])
})

test('each module has a ledger of its own', async () => {
  await run('eventlog')
  await writeFile(join(folder, '0001_things.sql'), 'CREATE TABLE others (n int);')
  await writeFile(join(folder, '0002_more_things.sql'), 'INSERT INTO others VALUES (1);')
  expect((await run('projections')).applied).toEqual(['0001_things', '0002_more_things'])
})

test('a migration that fails leaves nothing of itself, keeps those before it, and can be put right', async () => {
  await writeFile(join(folder, '0002_more_things.sql'), 'INSERT INTO things VALUES (2); INSERT INTO things VALUES (1);')
  const failure = await run().catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(MigrationError)
  expect(String(failure)).toMatch(/Migration 0002_more_things of eventlog failed and was rolled back: duplicate key/)
  expect(await query('SELECT n FROM things')).toEqual([{ n: 1 }])
  expect(await query('SELECT name FROM waybill.migrations')).toEqual([{ name: '0001_things' }])
  await writeFile(join(folder, '0002_more_things.sql'), 'INSERT INTO things VALUES (2);')
  expect((await run()).applied).toEqual(['0002_more_things'])
})

test('an applied migration that reads differently is refused, before anything is applied', async () => {
  await run()
  await writeFile(join(folder, '0001_things.sql'), 'CREATE TABLE things (n bigint);')
  await writeFile(join(folder, '0003_yet_more.sql'), 'INSERT INTO things VALUES (3);')
  const refusal = await run().catch((error: unknown) => error)
  expect(refusal).toBeInstanceOf(ChangedMigrationError)
  expect(String(refusal)).toContain('0001_things')
  expect(await query('SELECT count(*)::int AS n FROM things')).toEqual([{ n: 2 }])
})

test('another line ending is no other migration', async () => {
  await run()
  const path = join(folder, '0001_things.sql')
  await writeFile(path, (await readFile(path, 'utf8')).replaceAll('\n', '\r\n'))
  expect((await run()).applied).toEqual([])
})

test('a database that a newer Waybill has migrated is refused', async () => {
  await run()
  await rm(join(folder, '0002_more_things.sql'))
  const refusal = await run().catch((error: unknown) => error)
  expect(refusal).toBeInstanceOf(NewerSchemaError)
  expect(String(refusal)).toContain('0002_more_things')
})

test.each([
  ['0004_gap.sql', /count from 0001 without a gap/],
  ['3_short.sql', /not named NNNN_name.sql/],
  ['0002_same_number.sql', /without a gap/],
])('the file name %s is refused', async (file, message) => {
  await writeFile(join(folder, file), 'SELECT 1')
  await expect(run()).rejects.toThrow(message)
  expect(await query(`SELECT to_regclass('things') AS made`)).toEqual([{ made: null }])
})

test('a migrator that finds another at work too long gives up and says so', async () => {
  const other = new pg.Client({ connectionString: database.connectionString })
  await other.connect()
  await other.query('SELECT pg_advisory_lock(7726100518)')
  await expect(run('eventlog', 50)).rejects.toThrow('Another Waybill has been migrating this database for too long')
  await other.end()
  expect((await run()).applied).toHaveLength(2)
})
