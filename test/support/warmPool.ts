// Vitest's threads, for tests that mutants are put before one after the other (vitest.mutate.config.ts): starting a thread
// and loading modules would take most of the time. One thread serves many runs.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type PoolOptions, type PoolRunnerInitializer, type PoolWorker, ThreadsPoolWorker } from 'vitest/node'

/** Then another thread: what mutants left behind (timers, listeners) goes with it. */
const runsMax = 50

type Listener = Parameters<PoolWorker['on']>[1]

let thread: { readonly worker: PoolWorker; runs: number } | null = null

/** @param keepsModules false: our own modules are evaluated anew in each run. True where none has a state of its own. */
export function warmPool(keepsModules: boolean): PoolRunnerInitializer {
  const invalidates = keepsModules ? [] : ownModules()
  return { name: 'warm', createPoolWorker: (options) => createPoolWorker(options, invalidates) }
}

/** For one run. */
function createPoolWorker(options: PoolOptions, invalidates: string[]): PoolWorker {
  let listeners: (readonly [event: string, Listener])[] = []
  return {
    name: 'warm',
    on(event, listener) {
      listeners.push([event, listener])
      thread?.worker.on(event, listener)
    },
    off(event, listener) {
      listeners = listeners.filter(([, kept]) => kept !== listener)
      thread?.worker.off(event, listener)
    },
    send(message) {
      if (message.type === 'stop') queueMicrotask(sayStopped)
      else if (message.type !== 'run') thread?.worker.send(message)
      else thread?.worker.send({ ...message, context: { ...message.context, invalidates } })
    },
    deserialize: (data) => data,
    async start() {
      thread ??= await startThread(options)
      thread.runs += 1
    },
    async stop() {
      if (thread === null) return
      for (const [event, listener] of listeners) thread.worker.off(event, listener)
      if (thread.runs >= runsMax) await closeWarmPool()
    },
  }

  function sayStopped(): void {
    for (const [event, listener] of listeners) {
      if (event === 'message') listener({ type: 'stopped', __vitest_worker_response__: true })
    }
  }
}

export async function closeWarmPool(): Promise<void> {
  const last = thread
  thread = null
  await last?.worker.stop()
}

async function startThread(options: PoolOptions): Promise<{ readonly worker: PoolWorker; runs: number }> {
  const worker = new ThreadsPoolWorker(options)
  await worker.start()
  worker.on('exit', () => {
    if (thread?.worker === worker) thread = null
  })
  return { worker, runs: 0 }
}

function ownModules(): string[] {
  return ['src', 'test'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .map((path) => join(process.cwd(), folder, path)),
  )
}
