import { readFile } from 'node:fs/promises'
import {
  type ServerProcess,
  type ServerStart,
  spawnServer,
  stopServer,
} from '../../../src/postgres/embedded/serverProcess.ts'
import { until } from '../../nodes/support/until.ts'
import { answers, type PreparedServer } from '../support/preparedServer.ts'
import { childrenOf, isAlive, signalProcess } from '../support/serverProcesses.ts'

const recoveryMsMax = 60_000

/** PostgreSQL on a disk whose power is cut: nobody starts it again but who has brought the disk back. */
export class PowerServer {
  readonly connectionString: string
  readonly #start: ServerStart
  #server: ServerProcess

  private constructor(connectionString: string, start: ServerStart, server: ServerProcess) {
    this.connectionString = connectionString
    this.#start = start
    this.#server = server
  }

  static async start({ connectionString, start }: PreparedServer): Promise<PowerServer> {
    const server = new PowerServer(connectionString, start, await spawnServer(start))
    await server.#answers()
    return server
  }

  /** Milliseconds until it answers. */
  async startAgain(): Promise<number> {
    const startedMs = performance.now()
    this.#server = await spawnServer(this.#start)
    await this.#answers()
    return performance.now() - startedMs
  }

  /** Why it could not start, in its own words. */
  async lastWords(): Promise<string> {
    const lines = (await readFile(this.#start.logFile, 'utf8')).split('\n')
    return lines.findLast((line) => /PANIC|FATAL/.test(line))?.replace(/^.*(?=PANIC|FATAL)/, '') ?? 'it did not start'
  }

  /** All its processes, as a machine without power has none. */
  async kill(): Promise<void> {
    const processes = [this.#server.pid, ...childrenOf(this.#server.pid)]
    for (const pid of processes) signalProcess(pid, 'SIGKILL')
    await until('PostgreSQL is gone', 10_000, () => this.#server.hasEnded() && !processes.some(isAlive))
  }

  async stop(): Promise<void> {
    await stopServer(this.#start.binaries, this.#server.pid, 15_000, this.#server.hasEnded)
  }

  async #answers(): Promise<void> {
    await until('PostgreSQL answers', recoveryMsMax, () => {
      if (this.#server.hasEnded()) throw new Error(`PostgreSQL has ended; see ${this.#start.logFile}`)
      return answers(this.connectionString)
    })
  }
}
