import { setTimeout as delay } from 'node:timers/promises'
import {
  type ServerProcess,
  type ServerStart,
  signalServer,
  spawnServer,
  stopServer,
} from '../../../src/postgres/embedded/serverProcess.ts'
import { until } from '../../nodes/support/until.ts'
import { answers, prepareServer, type ServerOptions } from './preparedServer.ts'

/** Between two attempts: processes of a server that was killed must have noticed before another may start. */
const restartPauseMs = 50

/** A PostgreSQL server apart from the service, started again whenever it ends, at the same address. */
export class SupervisedPostgres {
  readonly connectionString: string
  readonly #start: ServerStart
  #server: ServerProcess
  #stopping = false
  readonly #running: Promise<void>

  private constructor(connectionString: string, start: ServerStart, server: ServerProcess) {
    this.connectionString = connectionString
    this.#start = start
    this.#server = server
    this.#running = this.#supervise()
  }

  static async start(dataDir: string, options: ServerOptions = {}): Promise<SupervisedPostgres> {
    const { connectionString, start } = await prepareServer(dataDir, options)
    const server = new SupervisedPostgres(connectionString, start, await spawnServer(start))
    await until('PostgreSQL answers', 30_000, () => answers(connectionString))
    return server
  }

  /** The postmaster's. */
  get pid(): number {
    return this.#server.pid
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await stopServer(this.#start.binaries, this.#server.pid, 15_000, this.#server.hasEnded)
    await this.#running
  }

  /** At once, for a run that has failed. */
  abandon(): void {
    this.#stopping = true
    if (!this.#server.hasEnded()) signalServer(this.#start.binaries, this.#server.pid, 'SIGQUIT')
  }

  async #supervise(): Promise<void> {
    while (!this.#stopping) {
      await this.#server.ended
      if (this.#stopping) return
      this.#server = await spawnServer(this.#start)
      await Promise.race([this.#server.ended, delay(restartPauseMs)])
    }
  }
}
