// A party's process: spawned on a free port, known to be ready, stopped.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const readyMsMax = 120_000

/**
 * @param {{ script: string, environment: Record<string, string | undefined>, memory?: { watch(pid: number): void,
 *   unwatch(pid: number): void } }} options `script`: relative to this folder. `memory`: samples the process.
 * @returns settles when /readyz says 200; `readyMs` is how long that took
 */
export async function startProcess({ script, environment, memory }) {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const startedMs = performance.now()
  const program = new URL(script, import.meta.url)
  const child = spawn(process.execPath, [...(await nodeOptions(program)), fileURLToPath(program)], {
    env: { ...process.env, NODE_ENV: 'production', BENCH_PORT: `${port}`, WAYBILL_PORT: `${port}`, ...environment },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const ended = once(child, 'exit')
  memory?.watch(child.pid)
  const stop = async () => {
    memory?.unwatch(child.pid)
    child.kill('SIGTERM')
    await ended
  }
  // A bench that is cut off leaves no service behind.
  const killAtExit = () => child.kill('SIGKILL')
  process.on('exit', killAtExit)
  void ended.then(() => process.off('exit', killAtExit))
  try {
    await waitUntilReady(url, child, startedMs + readyMsMax)
  } catch (error) {
    await stop()
    throw error
  }
  return { url, port, pid: child.pid, readyMs: performance.now() - startedMs, stop }
}

/** A Waybill, of whatever commit, gets the options that its own `npm start` gives to Node.js. */
async function nodeOptions(program) {
  if (!program.pathname.endsWith('/dist/main.js')) return []
  const { scripts } = JSON.parse(await readFile(new URL('../package.json', program), 'utf8'))
  return scripts.start.split(' ').filter((word) => word.startsWith('--'))
}

async function waitUntilReady(url, child, deadlineMs) {
  while (performance.now() < deadlineMs) {
    if (child.exitCode !== null) throw new Error(`${child.spawnargs.at(-1)} ended with ${child.exitCode}`)
    const ready = await fetch(`${url}/readyz`).then(
      (answer) => answer.ok,
      () => false,
    )
    if (ready) return
    await delay(10)
  }
  throw new Error(`${child.spawnargs.at(-1)} was not ready within ${readyMsMax / 1_000} s`)
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
