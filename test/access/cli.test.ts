// `waybill keys` as a process of its own, against services of their own.
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../api/apiHarness.ts'
import { startService } from '../e2e/serviceProcess.ts'
import { bundledService } from '../nodes/support/bundledService.ts'
import { createMigratedDatabase, type TestDatabase } from '../support/database.ts'
import { type Ran, type WaybillCommand, waybillCommand } from '../support/waybillCommand.ts'

let program: string
let command: WaybillCommand
let folder: string
let database: TestDatabase
const children: ChildProcess[] = []

beforeAll(async () => {
  program = (await bundledService()).program
  command = waybillCommand(program)
  folder = mkdtempSync(join(tmpdir(), 'waybill-keys-'))
  database = await createMigratedDatabase()
})
afterAll(async () => {
  command.end()
  for (const child of children) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
  await database.drop({ allowOpen: true })
})

function waybill(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Ran> {
  return command.run(args, environment)
}

function serve(environment: Readonly<Record<string, string>> = {}) {
  const service = startService(program, { DATABASE_URL: database.connectionString, ...environment })
  children.push(service.child)
  return service
}

const status = async (url: string, key: string) =>
  (await fetch(`${url}/v1/stats`, { headers: { authorization: `Bearer ${key}` } })).status

test('keys are made, listed and revoked at a running service, and are in force on another node of it', async () => {
  const [here, there] = [serve(), serve()]
  const [url, otherUrl] = await Promise.all([here.url, there.url])
  expect(here.output()).toContain('waybill keys create')

  const early = await waybill(['keys', 'create', 'ocr', '--role', 'service', '--url', url])
  expect([early.code, early.out]).toEqual([1, ''])
  expect(early.err).toContain('operator_needed')

  const dry = await waybill(['keys', 'create', 'admin', '--role', 'operator', '--url', url, '--dry-run', '--json'])
  expect([dry.code, JSON.parse(dry.out)]).toEqual([0, { dryRun: true, name: 'admin', roles: ['operator'] }])
  const first = await waybill(['keys', 'create', 'admin', '--role', 'operator', '--url', url])
  expect(first.code).toBe(0)
  expect(first.out).toMatch(/^wb_\w+_[\w-]{43}\n$/)
  expect(first.err).toContain('not shown again')
  expect(first.err).not.toContain(first.out.trim())
  const keyFile = join(folder, 'admin.key')
  writeFileSync(keyFile, first.out)

  const unknown = await waybill(['keys', 'list'], { WAYBILL_URL: url })
  expect([unknown.code, unknown.out]).toEqual([1, ''])
  expect(unknown.err).toContain('WAYBILL_KEY')

  const json = ['--url', url, '--key-file', keyFile, '--json']
  const made = await waybill(['keys', 'create', 'erp', '--role', 'service', 'viewer', ...json, '--quiet'])
  expect([made.code, made.err]).toEqual([0, ''])
  const { key, ...record } = JSON.parse(made.out)
  expect(record).toMatchObject({ name: 'erp', roles: ['service', 'viewer'], createdBy: 'admin' })
  expect(await status(url, key)).toBe(200)
  await eventually(
    () => status(otherUrl, key),
    (code) => code === 200,
  )

  const environment = { WAYBILL_URL: otherUrl, WAYBILL_KEY: first.out.trim() }
  const listed = await waybill(['keys', 'list'], environment)
  expect(listed.out).toMatch(
    /^NAME +ROLES +CREATED +BY +ID +BOUND TO\nadmin +operator .* anonymous .*\nerp +service,viewer .* admin /,
  )
  expect(JSON.parse((await waybill(['keys', 'list', '--json'], environment)).out).keys).toHaveLength(2)

  const out = join(folder, 'out.key')
  const create = ['keys', 'create', 'out', '--role', 'viewer', '--out', out, '--url', url, '--key-file', keyFile]
  const kept = await waybill([...create, '--json'])
  expect([kept.code, JSON.parse(kept.out).key, kept.err.includes(out)], kept.err).toEqual([0, undefined, true])
  expect(await status(url, readFileSync(out, 'utf8').trim())).toBe(200)
  expect(statSync(out).mode & 0o777).toBe(0o600)
  const occupied = await waybill(create)
  expect([occupied.code, occupied.err]).toEqual([2, expect.stringContaining('is there already')])
  // The name is taken: nothing was made, so there is no file either.
  const refused = await waybill(create.map((word) => (word === out ? `${out}.2` : word)))
  expect([refused.code, existsSync(`${out}.2`)], refused.err).toEqual([1, false])

  const unasked = await waybill(['keys', 'revoke', 'erp', ...json])
  expect([unasked.code, unasked.out]).toEqual([2, ''])
  expect((await waybill(['keys', 'revoke', 'erp', ...json, '--dry-run'])).code).toBe(0)
  expect(await status(url, key)).toBe(200)
  const revoked = await waybill(['keys', 'revoke', 'erp', ...json, '--yes'])
  expect([revoked.code, JSON.parse(revoked.out)]).toEqual([0, { name: 'erp', revoked: true }])
  expect(await status(url, key)).toBe(401)
  await eventually(
    () => status(otherUrl, key),
    (code) => code === 401,
  )
  const again = await waybill(['keys', 'revoke', 'erp', ...json, '--yes'])
  expect([again.code, again.err.includes('not_found')]).toEqual([1, true])

  for (const output of [here.output(), there.output()]) {
    for (const secret of [key, first.out.trim()]) expect(output).not.toContain(secret.slice(-43))
  }
})

test('a service that others can reach starts with a key only, or when told to do without', async () => {
  const own = await createMigratedDatabase()
  try {
    const reachable = { WAYBILL_HOST: '0.0.0.0', DATABASE_URL: own.connectionString }
    const refused = serve(reachable)
    expect((await refused.ended).code).toBe(2)
    expect(refused.output()).toContain('WAYBILL_OPERATOR_KEY')
    const keyFile = join(folder, 'operator.key')
    writeFileSync(keyFile, `${'k'.repeat(40)}\n`)
    const keyed = serve({ ...reachable, WAYBILL_OPERATOR_KEY_FILE: keyFile })
    const url = (await keyed.url).replace('0.0.0.0', '127.0.0.1')
    expect((await fetch(`${url}/v1/stats`)).status).toBe(401)
    expect(await status(url, 'k'.repeat(40))).toBe(200)
    expect(keyed.output()).not.toContain('k'.repeat(40))
    const made = await waybill(['keys', 'create', 'ocr', '--role', 'service', '--url', url, '--key-file', keyFile])
    expect(made.code).toBe(0)
    // A key in the database is enough from now on.
    const again = serve(reachable)
    expect(await status((await again.url).replace('0.0.0.0', '127.0.0.1'), made.out.trim())).toBe(403)
    const told = serve({
      WAYBILL_HOST: '0.0.0.0',
      WAYBILL_ALLOW_UNAUTHENTICATED: 'true',
      DATABASE_URL: own.connectionString,
    })
    const toldUrl = (await told.url).replace('0.0.0.0', '127.0.0.1')
    expect((await fetch(`${toldUrl}/v1/stats`)).status).toBe(401)
  } finally {
    for (const child of children) child.kill('SIGKILL')
    await own.drop({ allowOpen: true })
  }
})

describe('the command line', () => {
  test('has examples in every help text', async () => {
    for (const verb of [[], ['keys'], ['keys', 'create'], ['keys', 'list'], ['keys', 'revoke']]) {
      const { code, out } = await waybill([...verb, '--help'])
      expect(code).toBe(0)
      expect(out, verb.join(' ')).toMatch(/Examples\n[\s\S]*\$ .*waybill keys /)
    }
  })

  test('ends with 2 for wrong usage and with 1 for what failed, and says why on standard error alone', async () => {
    const file = join(folder, 'no.key')
    writeFileSync(file, 'two words')
    const wrong = [[], ['keys'], ['nonsense'], ['keys', 'create', 'x'], ['keys', 'create', 'x', '--role', 'boss']]
      .concat([
        ['keys', 'list', '--url', 'ftp://x'],
        ['keys', 'list', '--key-file', join(folder, 'none')],
      ])
      .concat([
        ['keys', 'list', '--key-file', file],
        ['keys', 'list', '--nonsense'],
        ['keys', 'revoke', 'x'],
      ])
    for (const args of wrong) {
      const { code, out, err } = await waybill(args)
      expect([code, out, err === ''], args.join(' ')).toEqual([2, '', false])
      expect(err).not.toContain('two words')
    }
    const { code, out, err } = await waybill(['keys', 'list', '--url', 'http://127.0.0.1:9'])
    expect([code, out]).toEqual([1, ''])
    expect(err).toContain('No answer from')
  })
})
