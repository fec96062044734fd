import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { createPool } from '../../src/postgres/connection.ts'
import { migrate } from '../../src/postgres/migrate.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
let folder: string
beforeAll(async () => {
  database = await createTestDatabase()
  folder = await mkdtemp(join(inject('scratchDirectory'), 'migrations-'))
})
afterAll(async () => {
  await database.drop()
  await rm(folder, { recursive: true })
})

test('eight migrators at once run each migration once', async () => {
  await writeFile(
    join(folder, '0001_things.sql'),
    'CREATE TABLE things (n int8 PRIMARY KEY); INSERT INTO things VALUES (1);',
  )
  const directory = pathToFileURL(`${folder}/`)
  const all = await Promise.all(
    Array.from({ length: 8 }, () =>
      migrate({ connectionString: database.connectionString, room: 'eventlog', directory }),
    ),
  )
  expect(all.flatMap(({ applied }) => applied)).toEqual(['0001_things'])
  const pool = createPool({ connectionString: database.connectionString, max: 2, role: 'waybill_service' })
  const { rows } = await pool.query(
    'SELECT current_user AS me, 9007199254740993::int8 AS big, ARRAY[1,NULL]::int8[] AS many',
  )
  expect(rows).toEqual([{ me: 'waybill_service', big: 9007199254740993n, many: [1n, null] }])
  await pool.end()
})
