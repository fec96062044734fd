import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { builtService } from '../nodes/support/builtService.ts'
import { until } from '../nodes/support/until.ts'
import { createTestDatabase } from '../support/database.ts'
import { patienceMs } from '../support/patience.ts'
import { type ServiceProcess, startService } from './serviceProcess.ts'

let program: string
let folder: string
beforeAll(async () => {
  program = (await builtService()).program
  folder = mkdtempSync(join(tmpdir(), 'waybill-data-'))
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** An orderly end takes longer than a test may: what is to end at once must not wait for it. */
const patient = { WAYBILL_SHUTDOWN_S_MAX: '600', WAYBILL_BODY_MS_MAX: '600000' }

const json = { 'content-type': 'application/json' }

async function report(url: string, id: string, status: string): Promise<number> {
  const body = JSON.stringify({ service: 'e2e', status, pipeline: 'any', data: { [status]: true } })
  return (await fetch(`${url}/v1/operations/${id}/reports`, { method: 'POST', headers: json, body })).status
}

async function read(url: string, id: string): Promise<unknown> {
  return (await fetch(`${url}/v1/operations/${id}`)).json()
}

async function stop(service: ServiceProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  service.child.kill(signal)
  expect(await service.ended).toEqual({ code: 0, signal: null })
  const output = service.output()
  expect(output).toMatch(/Stopping\n(?:\{.*\n)*Stopped\n$/)
  // Warnings may be told on the way; nothing may have failed.
  expect(output).not.toMatch(/^\{"level":[56]0/m)
}

describe('with its own PostgreSQL', () => {
  let dataDir: string
  beforeAll(() => {
    dataDir = join(folder, 'own')
  })

  test.skipIf(process.platform === 'win32')('npm start that is ended takes it along, in good order', async () => {
    const environment = { WAYBILL_DATA_DIR: join(folder, 'npm'), npm_lifecycle_event: 'start' }
    const service = startService(program, environment, [], 'shell')
    expect(await report(await service.url, 'kept-1', 'a')).toBe(201)
    service.child.kill('SIGTERM')
    // The pipes close when the last process that has them ends.
    await service.ended
    expect(service.output()).toMatch(/Stopping\n(?:\{.*\n)*Stopped\n$/)
  })

  test('it starts from nothing, says where everything is, keeps data over restarts, and lets no second one in', async () => {
    const first = startService(program, { WAYBILL_DATA_DIR: dataDir })
    const url = await first.url
    expect(first.output()).toContain(`${url}/docs`)
    expect(first.output()).toContain(dataDir)
    const [, path, body] =
      / curl -s http:\/\/[^/]+(\S+) -H 'content-type: application\/json' -d '(.*)'/.exec(first.output()) ?? []
    const tried = await fetch(`${url}${path}`, { method: 'POST', headers: json, body: body ?? '' })
    expect(tried.status).toBe(201)
    expect((await fetch(`${url}/docs`)).status).toBe(200)
    expect(await report(url, 'kept-1', 'a')).toBe(201)
    expect(await report(url, 'kept-1', 'b')).toBe(200)

    const second = startService(program, { WAYBILL_DATA_DIR: dataDir })
    expect((await second.ended).code).toBe(1)
    expect(second.output()).toMatch(/in use by another Waybill: process \d+/)
    expect(second.output().trim().split('\n')).toHaveLength(1)
    expect(await report(url, 'kept-1', 'c')).toBe(200)

    await stop(first)
    const again = startService(program, { WAYBILL_DATA_DIR: dataDir })
    expect(await read(await again.url, 'kept-1')).toMatchObject({ revision: 3, data: { a: true, b: true, c: true } })

    // Nothing is asked of a process that is killed so; the next one must find its way.
    again.child.kill('SIGKILL')
    expect((await again.ended).signal).toBe('SIGKILL')
    const after = startService(program, { WAYBILL_DATA_DIR: dataDir })
    const afterUrl = await after.url
    expect(await read(afterUrl, 'kept-1')).toMatchObject({ revision: 3 })
    expect(await report(afterUrl, 'kept-1', 'd')).toBe(200)
    await stop(after, 'SIGINT')
    expect(existsSync(join(dataDir, 'postgres', 'postmaster.pid'))).toBe(false)
  })

  test('when its PostgreSQL is killed with a report under way it ends at once, for a supervisor to start it again', async () => {
    const service = startService(program, { WAYBILL_DATA_DIR: dataDir, ...patient })
    const url = await service.url
    const { postmaster, connectionString } = ownServer(dataDir)
    const [holder, observer] = [new pg.Client({ connectionString }), new pg.Client({ connectionString })]
    for (const client of [holder, observer]) {
      client.on('error', () => undefined)
      await client.connect()
    }
    // The report's append waits behind this lock: nobody knows what became of it when the connection breaks.
    await holder.query('BEGIN; SELECT FROM waybill_log.log_head FOR UPDATE')
    const answer = report(url, 'under-way', 'a').catch(() => 'no answer')
    await until('the append waits', patienceMs, async () => {
      const { rowCount } = await observer.query("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
      return rowCount !== 0
    })
    process.kill(postmaster, 'SIGKILL')
    expect((await service.ended).code).toBe(1)
    expect(['no answer', 503]).toContain(await answer)
    expect(service.output()).toMatch(/^Waybill stopped: The embedded PostgreSQL has ended$/m)
    await Promise.allSettled([holder.end(), observer.end()])

    const again = startService(program, { WAYBILL_DATA_DIR: dataDir })
    expect(await report(await again.url, 'under-way', 'b')).toBe(201)
    await stop(again)
  })
})

/** The embedded server that works in a data directory now. */
function ownServer(dataDir: string): { readonly postmaster: number; readonly connectionString: string } {
  const [pid, , , port] = readFileSync(join(dataDir, 'postgres', 'postmaster.pid'), 'latin1').split('\n')
  const password = readFileSync(join(dataDir, 'postgres-password'), 'utf8').trim()
  return { postmaster: Number(pid), connectionString: `postgres://waybill:${password}@127.0.0.1:${port}/waybill` }
}

describe('with DATABASE_URL', () => {
  test('it uses that database, and neither uses nor locks the folder', async () => {
    const database = await createTestDatabase()
    const dataDir = join(folder, 'unused')
    const environment = { DATABASE_URL: database.connectionString, WAYBILL_DATA_DIR: dataDir }
    const [one, other] = [startService(program, environment), startService(program, environment)]
    const [oneUrl, otherUrl] = [await one.url, await other.url]
    expect(existsSync(dataDir)).toBe(false)
    const { password } = new URL(database.connectionString)
    expect(password).not.toBe('')
    expect(one.output()).not.toContain(decodeURIComponent(password))
    expect(one.output()).toContain(database.name)

    // Two nodes on one database: what one wrote the other reads at once and goes on from.
    expect(await report(oneUrl, 'shared-1', 'a')).toBe(201)
    expect(await read(otherUrl, 'shared-1')).toMatchObject({ revision: 1 })
    expect(await report(otherUrl, 'shared-1', 'b')).toBe(200)
    const strong = await fetch(`${oneUrl}/v1/operations/shared-1?consistency=strong`)
    expect(await strong.json()).toMatchObject({ revision: 2 })
    expect((await fetch(`${otherUrl}/readyz?verbose`)).status).toBe(200)
    await stop(one)
    expect(await report(otherUrl, 'shared-1', 'c')).toBe(200)
    await stop(other)
    expect(existsSync(dataDir)).toBe(false)
    await database.drop()
  })

  test.each([
    ['SIGTERM', 'SIGTERM'],
    ['SIGTERM', 'SIGINT'],
  ] as const)('a shutdown by %s answers what was taken, and %s after it ends it at once', async (first, second) => {
    const database = await createTestDatabase()
    const service = startService(program, { DATABASE_URL: database.connectionString, ...patient })
    const url = new URL(await service.url)
    const taken = Promise.all(Array.from({ length: 50 }, (_, index) => report(url.origin, `taken-${index}`, 'a')))
    expect(new Set(await taken)).toEqual(new Set([201]))
    // A request that never ends is what an orderly shutdown waits for.
    const holder = connect(Number(url.port), url.hostname)
    holder.on('error', () => undefined)
    await new Promise<void>((resolve) => holder.once('connect', () => resolve()))
    holder.write(
      'POST /v1/operations/x/reports HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
    )
    await report(url.origin, 'taken-0', 'b')
    service.child.kill(first)
    while (!service.output().includes('Stopping'))
      await new Promise((resolve) => service.child.stdout?.once('data', resolve))
    service.child.kill(second)
    expect((await service.ended).code).toBe(1)
    holder.destroy()
    await database.drop()
  })
})

describe('what is foreseen to go wrong is said in a line', () => {
  async function failing(
    environment: Record<string, string>,
    args: string[] = [],
  ): Promise<{ code: number | null; output: string }> {
    const service = startService(program, environment, args)
    const { code } = await service.ended
    return { code, output: service.output().trim() }
  }

  test('a configuration that is not valid: every error, and exit code 2', async () => {
    const { code, output } = await failing({ WAYBILL_PORT: 'x', WAYBILL_HOST: '0.0.0.0', WAYBILL_LOG_LEVEL: 'loud' })
    expect(code).toBe(2)
    expect(output).toContain('WAYBILL_PORT')
    expect(output).toContain('WAYBILL_LOG_LEVEL')
    expect(output).not.toContain('    at ')
  })

  test('nothing is made for a service that could not serve', async () => {
    const dataDir = join(folder, 'never-made')
    const open = { WAYBILL_HOST: '0.0.0.0', WAYBILL_DATA_DIR: dataDir }
    const result = await failing({ ...open, WAYBILL_PORT: 'x', EVENTSTORE_URL: 'esdb://?' })
    expect(result).toMatchObject({ code: 2, output: expect.stringContaining('there is no access key') })
    for (const name of ['WAYBILL_PORT', 'EVENTSTORE_URL', 'WAYBILL_HOST']) expect(result.output).toContain(name)
    expect(result.output.split('\n')).toHaveLength(4)

    const squatter = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => squatter.once('listening', resolve))
    const { port } = squatter.address() as AddressInfo
    const taken = await failing({ WAYBILL_DATA_DIR: dataDir, WAYBILL_PORT: String(port) })
    expect(taken).toMatchObject({ code: 1, output: expect.stringMatching(/^Port \d+ .* in use/) })
    squatter.close()
    const elsewhere = await failing({ ...open, WAYBILL_HOST: '192.0.2.1', WAYBILL_ALLOW_UNAUTHENTICATED: 'true' })
    expect(elsewhere).toMatchObject({ code: 1, output: expect.stringContaining('no address of this machine') })
    expect(existsSync(dataDir)).toBe(false)

    const database = await createTestDatabase()
    const inDatabase = await failing({ WAYBILL_HOST: '0.0.0.0', DATABASE_URL: database.connectionString })
    expect(inDatabase).toMatchObject({ code: 2, output: expect.stringContaining('there is no access key') })
    const client = new pg.Client({ connectionString: database.connectionString })
    await client.connect()
    const { rows } = await client.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'waybill%'")
    await client.end()
    expect(rows).toEqual([])
    await database.drop()
  })

  test('an unknown argument is exit code 2; --help and --version are 0', async () => {
    expect(await failing({}, ['--nonsense'])).toMatchObject({ code: 2, output: expect.stringContaining('--help') })
    expect(await failing({}, ['--help'])).toMatchObject({ code: 0, output: expect.stringContaining('DATABASE_URL') })
    expect(await failing({}, ['--version'])).toMatchObject({
      code: 0,
      output: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    })
  })

  test('a port in use', async () => {
    const database = await createTestDatabase()
    const squatter = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => squatter.once('listening', resolve))
    const { port } = squatter.address() as AddressInfo
    const result = await failing({ DATABASE_URL: database.connectionString, WAYBILL_PORT: String(port) })
    expect(result).toMatchObject({
      code: 1,
      output: expect.stringMatching(new RegExp(`^Port ${port} .* in use.*WAYBILL_PORT`, 'm')),
    })
    // The other line warns of the login, which is a superuser.
    expect(result.output.split('\n')).toHaveLength(2)
    squatter.close()
    await database.drop()
  })

  test('a database server that is not there, and a database that is not', async () => {
    const nobody = await failing({ DATABASE_URL: 'postgres://u:secret@127.0.0.1:1/d' })
    expect(nobody).toMatchObject({ code: 1, output: expect.stringContaining('does not answer') })
    expect(nobody.output).not.toContain('secret')
    const database = await createTestDatabase()
    const url = new URL(database.connectionString)
    await database.drop()
    expect(await failing({ DATABASE_URL: url.toString() })).toMatchObject({
      code: 1,
      output: expect.stringContaining('does not exist'),
    })
    url.password = 'wrong'
    expect(await failing({ DATABASE_URL: url.toString() })).toMatchObject({
      code: 1,
      output: expect.stringContaining('refuses'),
    })
  })
})
