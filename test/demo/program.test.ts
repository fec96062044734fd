// The program as `npm run demo` starts it: its verdict is its exit code.
import { spawn } from 'node:child_process'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readConfig } from '../../src/config.ts'
import { type Service, startService } from '../../src/service.ts'
import { type BuiltService, builtService } from '../nodes/support/builtService.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

const quiet = () => undefined
const logger = { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet, fatal: quiet }

// A program that starts, works and proves takes a while on a machine with much else to do.
describe('the demo program', () => {
  let build: BuiltService
  let database: TestDatabase
  let service: Service

  beforeAll(async () => {
    build = await builtService()
    database = await createTestDatabase()
    service = await startService({
      config: readConfig({ DATABASE_URL: database.connectionString, WAYBILL_PORT: '0' }),
      logger,
    })
  })

  afterAll(async () => {
    await service.stop()
    await database.drop()
  })

  const run = async (args: readonly string[], environment: Readonly<Record<string, string>> = {}) => {
    const program = join(dirname(build.program), 'demo/main.js')
    const child = spawn(process.execPath, [program, ...args], {
      env: { PATH: process.env.PATH, NO_COLOR: '1', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const ended = new Promise<number | null>((resolve) => child.on('exit', resolve))
    const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
    return { stdout, stderr, code }
  }

  it('ends with 0 when all is proved, and says what it did', async () => {
    const { stdout, stderr, code } = await run(['--operations', '20', '--seed', '5', '--url', service.url])
    expect(stdout).toContain('Proved: no report was lost, applied twice or overwritten by an older one.')
    expect(stdout).not.toContain('\u001b')
    expect(stderr).toContain('20 operations from')
    expect(stderr).toContain('seed 5')
    expect(code).toBe(0)
  })

  it('ends with 1 when a single report was answered and never taken', async () => {
    const proxy = await startLyingProxy(service.url)
    try {
      const args = ['--operations', '20', '--seed', '5', '--json']
      const { stdout, code } = await run(args, { WAYBILL_URL: proxy.url })
      const verdict = JSON.parse(stdout)
      expect(verdict.proved).toBe(false)
      expect(verdict.faults.map((fault: { check: string }) => fault.check)).toContain('recorded')
      expect(code).toBe(1)
    } finally {
      proxy.close()
    }
  })

  it('shows a key to a service that asks for one', async () => {
    const { database: locked, ...other } = await startLockedService()
    try {
      const refused = await run(['--operations', '10', '--url', other.url])
      expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('unauthorised') })
      const args = ['--operations', '10', '--seed', '5', '--url', other.url, '--json']
      const { stdout, stderr, code } = await run(args, { WAYBILL_KEY: other.key })
      expect(JSON.parse(stdout), stderr).toMatchObject({ proved: true, faults: [] })
      expect(code).toBe(0)
    } finally {
      await other.stop()
      await locked.drop()
    }
  })

  it('ends with 2 on wrong usage, and explains itself', async () => {
    expect(await run(['--operations', 'many'])).toMatchObject({ code: 2, stderr: expect.stringContaining('Usage:') })
    expect(await run(['--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('--seed') })
  })
})

async function startLockedService() {
  const database = await createTestDatabase()
  const operatorKey = 'x'.repeat(64)
  const environment = { DATABASE_URL: database.connectionString, WAYBILL_PORT: '0', WAYBILL_OPERATOR_KEY: operatorKey }
  const service = await startService({ config: readConfig(environment), logger })
  const made = await fetch(`${service.url}/v1/keys`, {
    method: 'POST',
    headers: { authorization: `Bearer ${operatorKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'demo', roles: ['service', 'definer', 'viewer', 'auditor'] }),
  })
  const { key }: { key: string } = JSON.parse(await made.text())
  return { database, key, url: service.url, stop: () => service.stop() }
}

const isDropped = (operation: string | undefined, key: unknown) =>
  /^demo-\w+-7$/.test(operation ?? '') && String(key).startsWith('archivist/')
const lieOf = (operation: unknown, command: unknown) => ({
  operation,
  command,
  outcome: 'applied',
  revision: 9,
  position: 'nowhere',
})

/** Passes everything on, but for the archivist's reports of one operation: it says they were applied and drops them. */
async function startLyingProxy(target: string) {
  const answerBulk = async (question: IncomingMessage, reply: ServerResponse): Promise<void> => {
    const lines = (await text(question)).split('\n').filter((line) => line !== '')
    const commands = lines.map((line) => JSON.parse(line))
    const passed = lines.filter((_, index) => !isDropped(commands[index].operation, commands[index].command))
    const found = await fetch(new URL('/v1/commands', target), {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: passed.map((line) => `${line}\n`).join(''),
    })
    const results = (await found.text()).split('\n').filter((line) => line !== '')
    reply.writeHead(found.status, { 'content-type': 'application/x-ndjson' })
    for (const { operation, command } of commands) {
      const lie = { ...lieOf(operation, command), httpStatus: 200 }
      reply.write(`${isDropped(operation, command) ? JSON.stringify(lie) : results.shift()}\n`)
    }
    reply.end()
  }
  const answer = (question: IncomingMessage, reply: ServerResponse): void => {
    const { method, headers } = question
    if (question.url === '/v1/commands') {
      answerBulk(question, reply).catch(() => reply.destroy())
      return
    }
    const operation = /\/operations\/([^/]+)\/reports$/.exec(question.url ?? '')?.[1]
    const key = headers['idempotency-key']
    if (isDropped(operation, key)) {
      question.resume()
      reply.setHeader('content-type', 'application/json')
      reply.end(JSON.stringify(lieOf(operation, key)))
      return
    }
    const passed = request(new URL(question.url ?? '/', target), { method, headers }, (found) => {
      reply.writeHead(found.statusCode ?? 502, found.headers)
      found.pipe(reply)
    })
    passed.on('error', () => reply.destroy())
    reply.on('close', () => passed.destroy())
    question.pipe(passed)
  }
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
