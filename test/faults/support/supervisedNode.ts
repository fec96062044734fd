import type { BuiltService } from '../../nodes/support/builtService.ts'
import { NodeProcess } from '../../nodes/support/nodeProcess.ts'
import { freePort } from './ports.ts'

/** A node that is started again whenever it ends, at the same address, as any supervisor would. */
export class SupervisedNode {
  readonly name: string
  readonly url: string
  readonly #start: () => NodeProcess
  #process: NodeProcess
  #starts = 0
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

  /** What the process that now runs has written. */
  get output(): string {
    return this.#process.output
  }

  ready(timeoutMs: number): Promise<NodeProcess> {
    return this.#process.ready(timeoutMs)
  }

  /** -9. Another process takes its place at once. */
  kill(): void {
    this.#process.signal('SIGKILL')
  }

  /** In order, for good. */
  async stop(): Promise<void> {
    this.#stopping = true
    await this.#process.stop()
    await this.#running
  }

  async #supervise(): Promise<void> {
    while (!this.#stopping) {
      await this.#process.ended
      if (this.#stopping) return
      this.#starts += 1
      this.#process = this.#start()
    }
  }
}
