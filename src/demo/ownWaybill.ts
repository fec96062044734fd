import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** A Waybill of the demo's own: a child process with an empty data directory of its own, gone after the run. */
export interface OwnWaybill {
  readonly url: string
  stop(): Promise<void>
}

const startTimeoutMs = 60_000
const stopTimeoutMs = 30_000

/** What says where the machine has its things, and how Node.js shall run. */
const passedOn = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'SystemRoot', 'NODE_OPTIONS'] as const

/** Listed, not inherited: no secret, nothing that would lead it to other data or make it ask for a key. */
export function environmentOfOwn(environment: NodeJS.ProcessEnv): Record<string, string> {
  const own: Record<string, string> = {}
  for (const name of passedOn) {
    const value = environment[name]
    if (value !== undefined) own[name] = value
  }
  return own
}

export async function startOwnWaybill(): Promise<OwnWaybill> {
  const dataDir = await mkdtemp(join(tmpdir(), 'waybill-demo-'))
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const child = spawn(process.execPath, [fileURLToPath(new URL('../main.js', import.meta.url))], {
    env: {
      ...environmentOfOwn(process.env),
      WAYBILL_HOST: '127.0.0.1',
      WAYBILL_PORT: String(port),
      WAYBILL_DATA_DIR: dataDir,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-4_000)
    })
  }
  const stop = async (): Promise<void> => {
    await terminate(child)
    await rm(dataDir, { recursive: true, force: true })
  }
  try {
    await waitUntilReady(url, child)
  } catch (error) {
    await stop()
    throw new Error(`Waybill did not start: ${error instanceof Error ? error.message : String(error)}\n${output}`)
  }
  return { url, stop }
}

async function waitUntilReady(url: string, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + startTimeoutMs
  while (performance.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`it ended with ${child.exitCode}`)
    const ready = await fetch(`${url}/readyz`).then(
      (answer) => answer.status === 200,
      () => false,
    )
    if (ready) return
    await delay(100)
  }
  throw new Error(`not ready within ${startTimeoutMs} ms`)
}

async function terminate(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const forced = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs)
  await ended
  clearTimeout(forced)
}

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}
