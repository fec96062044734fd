import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Installation } from './installation.ts'

export interface ChildMessage {
  readonly event: 'log' | 'ready' | 'failed' | 'stopped' | 'ended' | 'interrupted'
  readonly message?: string
  readonly name?: string
  readonly pid?: number
  readonly connectionString?: string
}

export interface ReadyMessage {
  /** Of the postmaster. */
  readonly pid: number
  readonly connectionString: string
}

/** A running `embeddedChild.ts` and everything it has said. */
export class EmbeddedProcess {
  readonly messages: ChildMessage[] = []
  readonly #child: ChildProcess
  readonly #waiting = new Set<() => void>()
  readonly exited: Promise<number | null>
  #exited = false
  #stderr = ''

  /** In a process group of its own, as a shell starts a foreground job. */
  constructor(installation: Installation, dataDir: string, user?: { uid: number; gid: number; execPath: string }) {
    this.#child = spawn(user?.execPath ?? process.execPath, [installation.program, dataDir], {
      detached: true,
      cwd: installation.directory,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
    })
    const { stdout, stderr } = this.#child
    if (stdout === null || stderr === null) throw new Error('The child has no pipes')
    createInterface({ input: stdout }).on('line', (line) => {
      this.messages.push(JSON.parse(line) as ChildMessage)
      this.#wake()
    })
    stderr.on('data', (chunk: Buffer) => {
      this.#stderr += chunk.toString()
    })
    this.exited = new Promise((resolve) => {
      this.#child.on('close', (code) => {
        this.#exited = true
        this.#wake()
        resolve(code)
      })
    })
  }

  get pid(): number {
    const { pid } = this.#child
    if (pid === undefined) throw new Error('The child could not be started')
    return pid
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** As a terminal does on Ctrl-C. */
  signalGroup(signal: NodeJS.Signals): void {
    process.kill(-this.pid, signal)
  }

  /** The first message of an event; fails when the child ends without it, or after 20 s. */
  async message(event: ChildMessage['event']): Promise<ChildMessage> {
    const deadline = AbortSignal.timeout(20_000)
    for (;;) {
      const found = this.messages.find((message) => message.event === event)
      if (found !== undefined) return found
      if (this.#exited || deadline.aborted) {
        throw new Error(`The child did not say "${event}" but ${JSON.stringify(this.messages)} ${this.#stderr}`)
      }
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve)
        deadline.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  }

  async ready(): Promise<ReadyMessage> {
    const { pid, connectionString } = await this.message('ready')
    if (pid === undefined || connectionString === undefined)
      throw new Error('The child is ready but does not say where')
    return { pid, connectionString }
  }

  /** Stops it the way its user would and waits for the end. */
  async stop(): Promise<void> {
    if (this.#exited) return
    this.signal('SIGTERM')
    await this.exited
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}
