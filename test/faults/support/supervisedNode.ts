import type { BuiltService } from '../../nodes/support/builtService.ts'
import { NodeProcess } from '../../nodes/support/nodeProcess.ts'
import { freePort } from './ports.ts'

const outputMax = 3_000

/** A node that is started again whenever it ends, at the same address, as any supervisor would. */
export class SupervisedNode {
  readonly name: string
  readonly url: string
  readonly #start: () => NodeProcess
  #process: NodeProcess
  #starts = 0
  #before = ''
  #stopping = false
  #running: Promise<void>

  private constructor(name: string, url: string, start: () => NodeProcess) {
    this.name = name
    this.url = url
    this.#start = start
    this.#process = start()
    this.#running = this.#supervise()
  }

  static async start(
    service: BuiltService,
    name: string,
    environment: Readonly<Record<string, string>>,
  ): Promise<SupervisedNode> {
    const port = await freePort()
    const start = () => new NodeProcess(service, name, { ...environment, WAYBILL_PORT: String(port) })
    return new SupervisedNode(name, `http://127.0.0.1:${port}`, start)
  }

  /** How often it was started again. */
  get restarts(): number {
    return this.#starts
  }

  /** The end of what this process and the one before it have written. */
  get output(): string {
    return `${this.#before}${this.#process.output.slice(-outputMax)}`
  }

  ready(timeoutMs: number): Promise<NodeProcess> {
    return this.#process.ready(timeoutMs)
  }

  /** -9. Another process takes its place at once. */
  kill(): void {
    this.#process.signal('SIGKILL')
  }

  /** To the process that runs now: SIGSTOP, SIGCONT. */
  signal(signal: NodeJS.Signals): void {
    this.#process.signal(signal)
  }

  /** -9, for good. */
  async end(): Promise<void> {
    this.#stopping = true
    await this.#process.kill()
    await this.#running
  }

  /** In order, for good. */
  async stop(): Promise<void> {
    this.#stopping = true
    await this.#process.stop()
    await this.#running
  }

  async #supervise(): Promise<void> {
    while (!this.#stopping) {
      const { code, signal } = await this.#process.ended
      if (this.#stopping) return
      this.#before = `${this.#process.output.slice(-outputMax)}\n(ended with ${code ?? signal})\n`
      this.#starts += 1
      this.#process = this.#start()
    }
  }
}
