// A log moves to another database, under the feet of a node.
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { createTestDatabase } from '../support/database.ts'
import { type WaybillCommand, waybillCommand } from '../support/waybillCommand.ts'
import type { BuiltService } from './support/builtService.ts'
import { bundledService } from './support/bundledService.ts'
import type { NodeProcess } from './support/nodeProcess.ts'
import { startedForTest } from './support/startedForTest.ts'

let service: BuiltService
let waybill: WaybillCommand

beforeAll(async () => {
  service = await bundledService()
  waybill = waybillCommand(service.program)
})
afterAll(() => waybill.end())

async function database(): Promise<string> {
  const made = await createTestDatabase()
  onTestFinished(() => made.drop({ allowOpen: true }))
  return made.connectionString
}

function startOn(connectionString: string): NodeProcess {
  return startedForTest(service, { DATABASE_URL: connectionString }).start()
}

function report(node: NodeProcess, id: string, status: string, key: string) {
  const body = { service: 's', status, pipeline: 'any', data: { at: status } }
  return node.http.post(`/v1/operations/${id}/reports`, body, { 'idempotency-key': key })
}

test('a node refuses reports from then on and answers queries; one on the copy knows all, keys too', async () => {
  const [from, to] = [await database(), await database()]
  const old = startOn(from)
  await old.ready()
  for (const id of ['op-1', 'op-2']) {
    for (const status of ['seen', 'done'])
      expect((await report(old, id, status, `${id}-${status}`)).status).toBeLessThan(300)
  }
  const receipt = (await report(old, 'op-1', 'seen', 'op-1-seen')).body

  const ran = await waybill.run(['copy-log', '--from', from, '--to', to, '--yes', '--json'])
  expect([ran.code, ran.err.includes('Copied and compared')], ran.err).toEqual([0, true])
  expect(JSON.parse(ran.out)).toMatchObject({ events: 6, resumedAfter: 0 })

  const refused = await report(old, 'op-1', 'late', 'late')
  expect([refused.status, refused.headers['retry-after'] === undefined]).toEqual([503, false])
  const before = await old.http.get('/v1/operations/op-1')
  expect(before.status).toBe(200)

  const now = startOn(to)
  await now.ready()
  const after = await now.http.get('/v1/operations/op-1?consistency=strong')
  expect({ ...after.body, position: null }).toEqual({ ...before.body, position: null })
  expect((await now.http.get('/v1/operations/op-1/events')).text.replaceAll(/"position":"[^"]*"/g, '')).toBe(
    (await old.http.get('/v1/operations/op-1/events')).text.replaceAll(/"position":"[^"]*"/g, ''),
  )
  const again = (await report(now, 'op-1', 'seen', 'op-1-seen')).body
  expect({ ...again, position: null }).toEqual({ ...receipt, position: null })
  expect((await report(now, 'op-1', 'late', 'late')).status).toBe(200)
})

test('a node is not started on a log that was closed, and the command says what is amiss in one line', async () => {
  const [from, to] = [await database(), await database()]
  const node = startOn(from)
  await node.ready()
  await report(node, 'op-1', 'seen', 'k')
  await node.stop()
  expect((await waybill.run(['copy-log', '--from', from, '--to', to, '--yes'])).code).toBe(0)
  const refused = startOn(from)
  await refused.says(/This log was closed/)
  const again = await waybill.run(['copy-log', '--from', from, '--to', to, '--yes'])
  expect([again.code, again.err], again.err).toEqual([
    1,
    'The target is not empty: it holds 2 events. Give an empty database\n',
  ])
  expect((await waybill.run(['copy-log', '--from', from, '--reopen'])).code).toBe(0)
  const reopened = startOn(from)
  await reopened.ready()
  expect((await report(reopened, 'op-1', 'more', 'k2')).status).toBe(200)
})

test.each([
  [['copy-log', '--to', 'postgres://x/y'], /--from/],
  [['copy-log', '--from', 'mysql://x/y', '--to', 'postgres://x/y', '--yes'], /no store that can be copied/],
  [['copy-log', '--from', 'nowhere', '--to', 'postgres://x/y', '--yes'], /neither a URL/],
  [['copy-log', '--from', 'postgres://x/y', '--yes'], /Say --to/],
  [['copy-log', '--from', 'postgres://x/y', '--to', 'postgres://x/z'], /say --yes/],
])('wrong usage: %j', async (args, message) => {
  const { code, err } = await waybill.run(args)
  expect([code, message.test(err)], err).toEqual([2, true])
})
