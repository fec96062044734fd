// `waybill audit` as a process of its own, against a service of its own.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ServiceProcess, startService } from '../e2e/serviceProcess.ts'
import { bundledService } from '../nodes/support/bundledService.ts'
import { createMigratedDatabase, type TestDatabase } from '../support/database.ts'
import { type Ran, type WaybillCommand, waybillCommand } from '../support/waybillCommand.ts'

let command: WaybillCommand
let database: TestDatabase
let service: ServiceProcess
let url: string
let folder: string
const keys = new Map<string, string>()

beforeAll(async () => {
  const { program } = await bundledService()
  command = waybillCommand(program)
  database = await createMigratedDatabase()
  service = startService(program, { DATABASE_URL: database.connectionString })
  url = await service.url
  folder = mkdtempSync(join(tmpdir(), 'waybill-audit-'))
  for (const [name, role] of [
    ['admin', 'operator'],
    ['eye', 'auditor'],
    ['ocr', 'service'],
  ] as const) {
    const { key } = await send('POST', '/v1/keys', { name, roles: [role] })
    keys.set(name, key)
    writeFileSync(join(folder, name), key)
  }
  await send('POST', '/v1/projections/operations/pause', {})
  await send('POST', '/v1/projections/operations/resume', {})
})
afterAll(async () => {
  command.end()
  service.child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
  await database.drop({ allowOpen: true })
})

async function send(method: string, path: string, body: object): Promise<{ readonly key: string }> {
  const key = keys.get('admin')
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: { 'content-type': 'application/json', ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) },
    body: JSON.stringify(body),
  })
  expect(answer.ok, await answer.clone().text()).toBe(true)
  return (await answer.json()) as { key: string }
}

const audit = (...args: readonly string[]): Promise<Ran> =>
  command.run(['audit', '--key-file', join(folder, 'eye'), ...args], { WAYBILL_URL: url })
const revisions = ({ out }: Ran): number[] =>
  out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line).revision)

test('lists acts for a person, the oldest first', async () => {
  const { code, out, err } = await audit()
  expect([code, err]).toEqual([0, ''])
  const [heading, ...lines] = out.trimEnd().split('\n')
  expect(heading).toMatch(/^TIME +REVISION +BY +ADDRESS +ACTION +TARGET +DETAILS$/)
  expect(lines).toHaveLength(5)
  expect(lines[0]).toMatch(/^\S+Z +0 +anonymous +127\.0\.0\.1 +keys\.create +admin +key=[0-9a-f]{16} roles=operator$/)
  expect(lines[2]).toMatch(/ 2 +admin +127\.0\.0\.1 +keys\.create +ocr +key=\w+ roles=service with=[0-9a-f]{16}$/)
  expect(lines[3]).toMatch(/ 3 +admin +127\.0\.0\.1 +projections\.pause +operations +with=[0-9a-f]{16}$/)
})

test('lists the last ones, or from a revision on, and says how to go on', async () => {
  expect(revisions(await audit('--json'))).toEqual([0, 1, 2, 3, 4])
  expect(revisions(await audit('--json', '--limit', '2'))).toEqual([3, 4])
  const some = await audit('--json', '--from', '1', '--limit', '2')
  expect([some.code, revisions(some), some.err]).toEqual([0, [1, 2], 'Go on with --from 3\n'])
  const none = await audit('--from', '5')
  expect([none.code, none.out, none.err]).toEqual([0, '', 'No acts\n'])
  expect(JSON.parse((await audit('--json', '--limit', '1')).out)).toMatchObject({
    type: 'OperatorActed',
    metadata: { hash: expect.stringMatching(/^[0-9a-f]{64}$/) },
  })
})

test('follows until as many acts have come as it was told, or the time is over', async () => {
  const followed = audit('--json', '--from', '4', '--limit', '2', '--follow', '600')
  await send('POST', '/v1/projections/operations/pause', {})
  await send('POST', '/v1/projections/operations/resume', {})
  await send('POST', '/v1/projections/operations/pause', {})
  await send('POST', '/v1/projections/operations/resume', {})
  const { code, ...ran } = await followed
  expect(code).toBe(0)
  // Two at first, however many there were by then, and two that followed.
  const seen = revisions({ code, ...ran })
  expect(seen.slice(0, 3)).toEqual([4, 5, 6])
  const ended = await audit('--limit', '1', '--follow', '1')
  expect([ended.code, ended.out.split('\n').length]).toEqual([0, 3])
})

test('is read in pages, some acts at a time, and shows nothing that moves a cursor', async () => {
  const asked: string[] = []
  const reason = '\u001b[2J broken \u202e'
  const act = (revision: number) => ({ revision, data: { action: 'projections.skip', reason }, metadata: {} })
  const stub = createServer((request, response) => {
    asked.push(request.url ?? '')
    const query = new URL(request.url ?? '', 'http://x').searchParams
    const backwards = query.get('direction') === 'backwards'
    const from = Number(query.get('fromRevision') ?? (backwards ? 249 : 0))
    const all = Array.from({ length: 100 }, (_, index) => (backwards ? from - index : from + index))
    const events = all.filter((revision) => revision >= 0 && revision < 250).map(act)
    response.end(JSON.stringify({ events, next: '0' }))
  })
  await new Promise<void>((resolve) => stub.listen(0, '127.0.0.1', resolve))
  const { port } = stub.address() as AddressInfo
  try {
    const at = ['--url', `http://127.0.0.1:${port}`]
    expect(revisions(await audit(...at, '--json', '--limit', '210'))).toEqual(
      Array.from({ length: 210 }, (_, index) => 40 + index),
    )
    expect(asked).toHaveLength(3)
    expect(revisions(await audit(...at, '--json', '--limit', '10000'))).toHaveLength(250)
    expect(revisions(await audit(...at, '--json', '--from', '100', '--limit', '120'))).toHaveLength(120)
    const { out } = await audit(...at, '--limit', '1')
    expect(out).toContain('reason=\ufffd[2J broken \ufffd')
  } finally {
    stub.close()
  }
})

test('needs a key that may read it, and ends with 2 for wrong usage', async () => {
  const forbidden = await command.run(['audit', '--key-file', join(folder, 'ocr')], { WAYBILL_URL: url })
  expect([forbidden.code, forbidden.out, forbidden.err.includes('forbidden')]).toEqual([1, '', true])
  const without = await command.run(['audit'], { WAYBILL_URL: url })
  expect([without.code, without.err.includes('WAYBILL_KEY_FILE')]).toEqual([1, true])
  const wrong = [
    ['--limit', '0'],
    ['--limit', '10001'],
    ['--from', '-1'],
    ['--follow', '1.5'],
    ['--follow', '90000'],
    ['x'],
  ]
  for (const args of wrong) {
    const { code, out, err } = await audit(...args)
    expect([code, out, err === ''], args.join(' ')).toEqual([2, '', false])
  }
  const help = await command.run(['audit', '--help'])
  expect(help.code).toBe(0)
  expect(help.out).toMatch(/Examples\n[\s\S]*\$ .*waybill audit /)
})
