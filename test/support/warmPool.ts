// Vitest's threads, for tests that mutants are put before one after the other (vitest.mutate.config.ts): starting a thread
// and loading packages would take most of the time. One thread serves many runs; our own modules are evaluated anew in each.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type PoolOptions, type PoolRunnerInitializer, type PoolWorker, ThreadsPoolWorker } from 'vitest/node'

/** Then another thread: what mutants left behind (timers, listeners) goes with it. */
const runsMax = 50

type Message = Parameters<PoolWorker['send']>[0]
type Listener = Parameters<PoolWorker['on']>[1]

let thread: { readonly worker: PoolWorker; runs: number } | null = null

export const warmPool: PoolRunnerInitializer = { name: 'warm', createPoolWorker }

/** For one run. */
function createPoolWorker(options: PoolOptions): PoolWorker {
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
      else thread?.worker.send(message.type === 'run' ? evaluatingAnew(message) : message)
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

function evaluatingAnew(message: Extract<Message, { type: 'run' }>): Message {
  return { ...message, context: { ...message.context, invalidates: ownModules() } }
}

let modules: string[] | null = null

function ownModules(): string[] {
  modules ??= ['src', 'test'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .map((path) => join(process.cwd(), folder, path)),
  )
  return modules
}
