import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { builtService } from '../nodes/support/builtService.ts'
import { until } from '../nodes/support/until.ts'
import { createTestDatabase } from '../support/database.ts'

let program: string
let cli: string
const children = new Set<ReturnType<typeof spawn>>()
beforeAll(async () => {
  program = (await builtService()).program
  cli = join(dirname(program), 'cli', 'main.js')
})
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
})

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly output: string
}

/**
 * Runs a program of which one output has no reader: its end of the pipe is closed before the program has begun. `output`
 * is what it wrote to the other one.
 */
function run(args: readonly string[], unread: 'stdout' | 'stderr', environment: Record<string, string> = {}) {
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.add(child)
  child[unread].destroy()
  let output = ''
  child[unread === 'stdout' ? 'stderr' : 'stdout'].on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code, signal) => {
      children.delete(child)
      resolve({ code, signal, output })
    })
  })
  return { child, ended, output: () => output }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('a port was asked for')
  return address.port
}

const answers = (url: string) =>
  fetch(`${url}/livez`).then(
    ({ ok }) => ok,
    () => false,
  )

describe('a pipe whose reader has left', () => {
  test.each([['--help'], ['keys', '--help'], ['--version']])('ends waybill %s quietly', async (...args) => {
    expect(await run([cli, ...args], 'stdout').ended).toEqual({ code: 0, signal: null, output: '' })
  })

  test.each([['--help'], ['--version']])('ends the service with %s quietly', async (...args) => {
    expect(await run([program, ...args], 'stdout').ended).toEqual({ code: 0, signal: null, output: '' })
  })

  test('is no trouble where it is where errors go: the exit code stands', async () => {
    expect(await run([cli, 'nonsense'], 'stderr').ended).toEqual({ code: 2, signal: null, output: '' })
    expect(await run([program, '--nonsense'], 'stderr').ended).toEqual({ code: 2, signal: null, output: '' })
  })

  test.each(['main.js', 'cli/main.js serve'])('does not keep the service from serving (%s)', async (started) => {
    const database = await createTestDatabase()
    const port = await freePort()
    const [file = '', ...args] = started.split(' ')
    const service = run([join(dirname(program), file), ...args], 'stdout', {
      DATABASE_URL: database.connectionString,
      WAYBILL_PORT: String(port),
    })
    await until('it serves', 60_000, () => answers(`http://127.0.0.1:${port}`))
    service.child.kill('SIGTERM')
    expect(await service.ended).toEqual({ code: 0, signal: null, output: '' })
    await database.drop()
  })
})

describe.runIf(existsSync('/dev/full'))('an output on a full disk', () => {
  /** What it wrote to standard error. */
  async function runFull(args: readonly string[], environment: Record<string, string> = {}) {
    const full = openSync('/dev/full', 'w')
    const child = spawn(process.execPath, args, {
      env: { PATH: process.env.PATH, ...environment },
      stdio: ['ignore', full, 'pipe'],
    })
    children.add(child)
    closeSync(full)
    let output = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    const ended = new Promise<Ended>((resolve) => {
      child.on('close', (code, signal) => resolve({ code, signal, output }))
    })
    return { child, ended }
  }

  test('is a failure of waybill, said in a sentence', async () => {
    const { ended } = await runFull([cli, '--version'])
    expect(await ended).toEqual({
      code: 1,
      signal: null,
      output: expect.stringMatching(/^Standard output cannot be written: ENOSPC[^\n]*\n$/),
    })
  })

  test('does not keep the service from serving', async () => {
    const database = await createTestDatabase()
    const port = await freePort()
    const service = await runFull([program], {
      DATABASE_URL: database.connectionString,
      WAYBILL_PORT: String(port),
      WAYBILL_LOG_REQUESTS: 'true',
    })
    const url = `http://127.0.0.1:${port}`
    await until('it serves', 60_000, () => answers(url))
    for (let asked = 0; asked < 20; asked += 1) expect(await answers(url)).toBe(true)
    service.child.kill('SIGTERM')
    expect(await service.ended).toEqual({ code: 0, signal: null, output: '' })
    await database.drop()
  })
})
