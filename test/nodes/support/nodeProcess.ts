import { type ChildProcess, spawn } from 'node:child_process'
import { patienceMs } from '../../support/patience.ts'
import type { BuiltService } from './builtService.ts'
import { until } from './until.ts'
import { WaybillHttp } from './waybillHttp.ts'

/** Ends the node with the process that started it, however that ends: its standard input is closed then. */
const endWithParent = "data:text/javascript,process.stdin.on('close',()=>process.exit(99)).resume().unref()"

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** One node: `node dist/main.js` in a process of its own. */
export class NodeProcess {
  readonly name: string
  /** Settles with the process's end. */
  readonly ended: Promise<Ended>
  readonly #child: ChildProcess
  #http: WaybillHttp | null = null
  #output = ''
  #end: Ended | null = null

  constructor(service: BuiltService, name: string, environment: Readonly<Record<string, string>>) {
    this.name = name
    this.#child = spawn(process.execPath, ['--import', endWithParent, service.program], {
      cwd: service.directory,
      env: { PATH: process.env.PATH, WAYBILL_PORT: '0', ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    running.add(this.#child)
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString()
      })
    }
    this.ended = new Promise((resolve) => {
      this.#child.on('close', (code, signal) => {
        running.delete(this.#child)
        this.#http?.close()
        this.#end = { code, signal }
        resolve(this.#end)
      })
    })
  }

  /** All it has written so far, to both streams. */
  get output(): string {
    return this.#output
  }

  get pid(): number {
    const { pid } = this.#child
    if (pid === undefined) throw new Error(`${this.name} could not be started`)
    return pid
  }

  get isRunning(): boolean {
    return this.#end === null
  }

  /** `http://host:port`; throws before it listens. */
  get url(): string {
    const [, url] = /listens on (http:\S+)/.exec(this.#output) ?? []
    if (url === undefined) throw new Error(`${this.name} does not listen: ${this.#output}`)
    return url
  }

  get http(): WaybillHttp {
    this.#http ??= new WaybillHttp(this.url, 16)
    return this.#http
  }

  /** Until it listens. Fails when it ends before. */
  async listening(timeoutMs = patienceMs): Promise<this> {
    await until(`${this.name} listens`, timeoutMs, () => {
      if (this.#end !== null) throw new Error(`${this.name} ended with ${JSON.stringify(this.#end)}: ${this.#output}`)
      return /listens on http:/.test(this.#output)
    })
    return this
  }

  /** Until `/readyz` says so. */
  async ready(timeoutMs = patienceMs): Promise<this> {
    await this.listening(timeoutMs)
    await until(`${this.name} is ready`, timeoutMs, async () => (await this.http.get('/readyz')).status === 200)
    return this
  }

  /** The first line that matches. */
  async says(pattern: RegExp, timeoutMs = patienceMs): Promise<string> {
    return until(`${this.name} says ${pattern}`, timeoutMs, () => {
      const line = this.#output.split('\n').find((candidate) => pattern.test(candidate))
      if (line === undefined && this.#end !== null) throw new Error(`${this.name} ended: ${this.#output}`)
      return line ?? null
    })
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async kill(): Promise<void> {
    if (this.#end === null) this.#child.kill('SIGKILL')
    await this.ended
  }

  async stop(): Promise<Ended> {
    if (this.#end === null) {
      this.#child.kill('SIGCONT')
      this.#child.kill('SIGTERM')
    }
    return this.ended
  }
}

/** Starts nodes and ends them with the test, passed or failed. */
export function nodeStarter(service: BuiltService, environment: Readonly<Record<string, string>>) {
  const nodes: NodeProcess[] = []
  let count = 0
  return {
    nodes,
    start(more: Readonly<Record<string, string>> = {}, built = service): NodeProcess {
      count += 1
      const node = new NodeProcess(built, `node ${count}`, { ...environment, ...more })
      nodes.push(node)
      return node
    },
    async end(): Promise<void> {
      await Promise.all(nodes.map((node) => node.kill()))
    },
  }
}

export type NodeStarter = ReturnType<typeof nodeStarter>
