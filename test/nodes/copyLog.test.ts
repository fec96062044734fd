// A log moves to another database, under the feet of a node.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest'
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

/** A file that holds a store's URL, with its password. */
function fileOf(url: string): string {
  const file = join(mkdtempSync(join(inject('scratchDirectory'), 'store-')), 'url')
  writeFileSync(file, `${url}\n`, { mode: 0o600 })
  return file
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

  const ran = await waybill.run(['copy-log', '--from-file', fileOf(from), '--to-file', fileOf(to), '--yes', '--json'])
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
  const stores = ['--from-file', fileOf(from), '--to-file', fileOf(to)]
  expect((await waybill.run(['copy-log', ...stores, '--yes'])).code).toBe(0)
  const refused = startOn(from)
  await refused.says(/This log was closed/)
  const again = await waybill.run(['copy-log', ...stores, '--yes'])
  expect([again.code, again.err], again.err).toEqual([
    1,
    'The target is not empty: it holds 2 events. Give an empty database\n',
  ])
  expect((await waybill.run(['copy-log', '--from-file', '-', '--reopen'], {}, from)).code).toBe(0)
  const reopened = startOn(from)
  await reopened.ready()
  expect((await report(reopened, 'op-1', 'more', 'k2')).status).toBe(200)
})

test('a password among the arguments works, and is warned of; nothing that is said holds one', async () => {
  const from = await database()
  const url = new URL(from)
  const inQuery = new URL(from)
  inQuery.username = ''
  inQuery.password = ''
  for (const [name, value] of [
    ['user', url.username],
    ['password', url.password],
  ] as const)
    inQuery.searchParams.set(name, decodeURIComponent(value))
  for (const told of [from, inQuery.href]) {
    const { code, err } = await waybill.run(['copy-log', '--from', told, '--reopen'])
    // There is no log in it.
    expect([code, err.split('\n')], err).toEqual([
      1,
      [expect.stringMatching(/^Warning: --from holds a password.*--from-file/), 'The source database holds no log', ''],
    ])
    expect(err).not.toContain(url.password)
  }
  const quiet = await waybill.run(['copy-log', '--from', from, '--reopen', '--quiet'])
  expect([quiet.code, quiet.err]).toEqual([1, 'The source database holds no log\n'])
  // As PostgreSQL's own tools take it.
  url.password = ''
  const { code, err } = await waybill.run(['copy-log', '--from', url.href, '--reopen'], {
    PGPASSWORD: decodeURIComponent(new URL(from).password),
  })
  expect([code, err]).toEqual([1, 'The source database holds no log\n'])
})

test('what a file or standard input holds is not shown, whatever it is', async () => {
  const wrong = await waybill.run(['copy-log', '--from-file', fileOf('postgres//u:a-secret@x/y'), '--reopen'])
  expect([wrong.code, wrong.err.includes('a-secret')], wrong.err).toEqual([2, false])
  expect(wrong.err).toMatch(/The file .* is neither a URL/)
  const piped = await waybill.run(['new-log-id', '--log-file', '-', '--yes'], {}, 'mysql://u:a-secret@x/y')
  expect([piped.code, piped.err]).toEqual([2, expect.stringContaining('mysql:// is not a store')])
  expect(piped.err).not.toContain('a-secret')
})

test.each([
  [['copy-log', '--from', 'postgres://x/y', '--from-file', 'f', '--to', 'postgres://x/y', '--yes'], /either --from or/],
  [['copy-log', '--from-file', '-', '--to-file', '-', '--yes'], /Standard input holds one store/],
  [['copy-log', '--from-file', '/nowhere', '--to', 'postgres://x/y', '--yes'], /cannot be read/],
  [['copy-log', '--from', 'postgres://x/y?ssl=false', '--reopen'], /option ssl must be one of/],
  [['new-log-id', '--yes'], /--log-file/],
  [['copy-log', '--to', 'postgres://x/y'], /--from/],
  [['copy-log', '--from', 'mysql://x/y', '--to', 'postgres://x/y', '--yes'], /not a store that can be copied/],
  [['copy-log', '--from', 'nowhere', '--to', 'postgres://x/y', '--yes'], /neither a URL/],
  [['copy-log', '--from', 'postgres://x/y', '--yes'], /Pass either --to or --reopen/],
  [['copy-log', '--from', 'postgres://x/y', '--to', 'postgres://x/z'], /pass --yes/],
])('wrong usage: %j', async (args, message) => {
  const { code, err } = await waybill.run(args)
  expect([code, message.test(err)], err).toEqual([2, true])
})
