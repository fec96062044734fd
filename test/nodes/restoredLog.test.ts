// A backup is older than what was accepted since: what waybill new-log-id does, and what happens without it.
import { execFile } from 'node:child_process'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest'
import { migrateEventLog } from '../../src/eventlog/postgres/migrateEventLog.ts'
import { openPostgresEventLog } from '../../src/eventlog/postgres/postgresEventLog.ts'
import { startEmbeddedPostgres } from '../../src/postgres/embedded.ts'
import { newStream } from '../eventlog/logDatabase.ts'
import { createTestDatabase } from '../support/database.ts'
import { type WaybillCommand, waybillCommand } from '../support/waybillCommand.ts'
import type { BuiltService } from './support/builtService.ts'
import { bundledService } from './support/bundledService.ts'
import { copyDatabase, dropDatabase, replaceDatabase } from './support/databaseCopy.ts'
import type { NodeProcess } from './support/nodeProcess.ts'
import { startedForTest } from './support/startedForTest.ts'
import { until } from './support/until.ts'

let service: BuiltService
let waybill: WaybillCommand

beforeAll(async () => {
  service = await bundledService()
  waybill = waybillCommand(service.program)
}, 120_000)
afterAll(() => waybill.end())

async function report(node: NodeProcess, id: string): Promise<{ status: number; position: string }> {
  const body = { service: 's', status: 'seen', pipeline: 'any' }
  const answer = await node.http.post(`/v1/operations/${id}/reports`, body, { 'idempotency-key': `key-of-${id}` })
  return { status: answer.status, position: String(answer.body.position) }
}

/** A database that was restored to before its last report, on `lost`, and the position that its sender was told. */
async function restoredDatabase() {
  const database = await createTestDatabase()
  const { connectionString, name } = database
  const backup = `${name}_backup`
  onTestFinished(async () => {
    for (const other of [backup, `${name}_before`]) await dropDatabase(other)
    await database.drop({ allowOpen: true })
  })
  const starter = startedForTest(service, { DATABASE_URL: connectionString })
  const node = await starter.start().ready()
  expect((await report(node, 'kept')).status).toBe(201)
  await copyDatabase(name, backup)
  await node.ready()
  // Its connections were cut for the copy.
  const lost = await until('the node has a connection again', 20_000, async () => {
    const answer = await report(node, 'lost')
    return answer.status === 503 ? null : answer
  })
  expect(lost.status).toBe(201)
  await node.stop()
  await replaceDatabase(name, backup)
  return { starter, connectionString, lostPosition: lost.position }
}

test('a restored log gives positions of lost events to others; that is why it is given another id', async () => {
  const { starter, lostPosition } = await restoredDatabase()
  const node = await starter.start().ready()
  expect((await report(node, 'another')).position).toBe(lostPosition)
}, 60_000)

test('with another id it refuses positions of before, keeps its operations, and takes again what was lost', async () => {
  const { starter, connectionString, lostPosition } = await restoredDatabase()
  const ran = await waybill.run(['new-log-id', '--log', connectionString, '--yes', '--json'])
  expect([ran.code, JSON.parse(ran.out)], ran.err).toEqual([0, { logId: expect.stringMatching(/^[0-9a-f-]{36}$/) }])

  const node = await starter.start().ready()
  expect((await node.http.get('/v1/operations/kept?consistency=strong')).status).toBe(200)
  const refused = await node.http.get(`/v1/operations/kept?minPosition=${lostPosition}`)
  expect([refused.status, refused.body.code]).toEqual([410, 'another_log'])
  expect((await node.http.get('/v1/operations/lost?consistency=strong')).status).toBe(404)
  // Its sender may send it again under the same key; a key that was kept still gets its first receipt.
  expect((await report(node, 'lost')).status).toBe(201)
  const again = await node.http.get(`/v1/operations?minPosition=${(await report(node, 'kept')).position}&sort=id`)
  const { operations } = again.body as { operations: { id: string; revision: number }[] }
  expect(operations.map(({ id }) => id)).toEqual(['kept', 'lost'])
}, 60_000)

test('the id is changed in a copied data folder, and no event of it', async () => {
  const folder = await mkdtemp(join(inject('dataDirectory'), 'moved-'))
  const [from, to] = [join(folder, 'from'), join(folder, 'to')]
  const readAt = async (dataDir: string, first: boolean) => {
    const server = await startEmbeddedPostgres({ dataDir, settings: { min_wal_size: '80MB' } })
    if (first) await migrateEventLog(server.connectionString)
    const log = await openPostgresEventLog({ connectionString: server.connectionString })
    if (first) await log.append([newStream(), newStream()])
    const events = await log.readAll({ after: 0n, maxCount: 10 })
    await log.close()
    await server.stop()
    return { events, logId: log.logId }
  }
  const before = await readAt(from, true)
  // Owners too: PostgreSQL runs as the one of its folder.
  await promisify(execFile)('cp', ['-a', from, to])
  const ran = await waybill.run(['new-log-id', '--log', to, '--yes', '--quiet'])
  expect([ran.code, ran.err]).toEqual([0, ''])
  const after = await readAt(to, false)
  expect(after).toEqual({ events: before.events, logId: ran.out.trim() })
  expect(after.logId).not.toBe(before.logId)
}, 60_000)

test.each([
  [['new-log-id'], 2, /--log/],
  [['new-log-id', '--log', 'nowhere', '--yes'], 2, /neither a URL/],
  [['new-log-id', '--log', 'esdb://127.0.0.1:1', '--yes'], 2, /EventStoreDB keeps the id/],
  [['new-log-id', '--log', 'postgres://x/y'], 2, /say --yes/],
  [['new-log-id', '--log', 'EMPTY', '--yes'], 1, /holds no log/],
])('%j ends with %i and says why', async (args, code, words) => {
  const database = await createTestDatabase()
  onTestFinished(() => database.drop())
  const ran = await waybill.run(args.map((word) => (word === 'EMPTY' ? database.connectionString : word)))
  expect({ code: ran.code, out: ran.out }).toEqual({ code, out: '' })
  expect(ran.err).toMatch(words)
})
