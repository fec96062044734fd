import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type BuiltService, builtService, copyOfBuild } from './support/builtService.ts'
import type { NodeStarter } from './support/nodeProcess.ts'
import { sendUntilDefinite } from './support/racingClients.ts'
import { startedForTest } from './support/startedForTest.ts'
import { expectOnce, expectSoundLog, readWholeLog } from './support/wholeLog.ts'

const nodeCount = 5

describe('nodes that start', () => {
  let service: BuiltService
  let database: TestDatabase
  let starter: NodeStarter

  beforeAll(async () => {
    service = await builtService()
  })
  beforeEach(async () => {
    database = await createTestDatabase()
    starter = startedForTest(service, { DATABASE_URL: database.connectionString })
    onTestFinished(() => database.drop({ allowOpen: true }))
  })

  it('all at once on an empty database run each migration once, and all become ready', async () => {
    const nodes = Array.from({ length: nodeCount }, () => starter.start())
    await Promise.all(nodes.map((node) => node.ready()))
    const files = await migrationFiles(service)
    const { rows } = await ledger()
    expect(rows.map(({ name }) => name).sort()).toEqual(files.map(({ name }) => name).sort())
    // Nobody met a failure on the way: what is written is the text of the start, and that these tests serve as a superuser.
    for (const node of nodes) {
      const lines = node.output.split('\n').filter((line) => !line.includes('which its login'))
      expect(lines.join('\n')).not.toMatch(/"level":[45]0|"level":60/)
    }
    const [first, last] = [nodes[0], nodes.at(-1)]
    const taken = await first?.http.post('/v1/operations/op-1/reports', { service: 'a', status: 'b', pipeline: 'any' })
    expect(taken?.status).toBe(201)
    expect((await last?.http.get('/v1/operations/op-1'))?.status).toBe(200)
  })

  it('in a newer version beside an older one: both serve; the older, started again, says so and leaves all as it is', async () => {
    const newer = await newerVersion(service)
    const older = await starter.start().ready()
    const clients = new AbortController()
    const sending = sendAll(older.http, clients.signal)
    const upgraded = await starter.start({}, newer).ready()
    const throughNewer = await sendUntilDefinite(upgraded.http, 'op-0', 'newer', {
      service: 'n',
      status: 'new',
      pipeline: 'any',
    })
    clients.abort()
    const sent = [...(await sending), throughNewer]
    expect(sent.length).toBeGreaterThan(1)

    expect(await older.stop()).toEqual({ code: 0, signal: null })
    const before = await ledger()
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      const again = starter.start()
      expect(await again.ended).toEqual({ code: 1, signal: null })
      expect(again.output).toMatch(/A newer Waybill has migrated it: run that one\./)
      // A sentence for a person, not a stack.
      expect(again.output).not.toMatch(/\n\s+at /)
    }
    expect(await ledger()).toEqual(before)
    expect((await upgraded.http.get('/readyz')).status).toBe(200)
    const more = await sendUntilDefinite(upgraded.http, 'op-0', 'more', {
      service: 'n',
      status: 'more',
      pipeline: 'any',
    })
    const log = await readWholeLog(database.connectionString)
    expectSoundLog(log)
    for (const { receipt } of [...sent, more]) {
      if (receipt === null) throw new Error('a report was not taken')
      expectOnce(log, receipt)
    }
  })

  async function ledger() {
    const client = new pg.Client({ connectionString: database.connectionString })
    await client.connect()
    try {
      const { rows } = await client.query<{ room: string; name: string; applied: string }>(
        'SELECT room, name, applied_at::text AS applied FROM waybill.migrations ORDER BY room, number',
      )
      return { rows }
    } finally {
      await client.end()
    }
  }
})

type Http = Parameters<typeof sendUntilDefinite>[0]

/** Reports one after the other until told to end; no answer may be another than taken. */
async function sendAll(http: Http, signal: AbortSignal) {
  const sent = []
  for (let n = 0; !signal.aborted; n += 1) {
    sent.push(
      await sendUntilDefinite(http, `op-${n % 10}`, `older-${n}`, { service: 'o', status: 'old', pipeline: 'any' }),
    )
  }
  return sent
}

async function migrationFiles({ directory }: BuiltService) {
  const files = await readdir(join(directory, 'dist'), { recursive: true, withFileTypes: true })
  return files
    .filter((entry) => entry.isFile() && entry.name.endsWith('.sql') && entry.parentPath.endsWith('migrations'))
    .map((entry) => ({ name: entry.name.slice(0, -'.sql'.length), folder: entry.parentPath }))
}

/** The same service with one migration more in each room, of the kind that a version that is rolled out may have. */
async function newerVersion(service: BuiltService): Promise<BuiltService> {
  const copy = await copyOfBuild(service, 'newer')
  const folders = new Set((await migrationFiles(copy)).map(({ folder }) => folder))
  for (const [room, folder] of [...folders].entries()) {
    const number = String((await readdir(folder)).length + 1).padStart(4, '0')
    const sql = `CREATE TABLE waybill_log.newer_in_room_${room} (id integer PRIMARY KEY);\n`
    await writeFile(join(folder, `${number}_newer.sql`), sql)
  }
  return copy
}
