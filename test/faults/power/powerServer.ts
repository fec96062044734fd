import {
  type ServerProcess,
  type ServerStart,
  spawnServer,
  stopServer,
} from '../../../src/postgres/embedded/serverProcess.ts'
import { until } from '../../nodes/support/until.ts'
import { answers, prepareServer } from '../support/preparedServer.ts'
import { childrenOf, isAlive, signalProcess } from '../support/serverProcesses.ts'

/** A disk small enough to be copied in no time. */
const smallWal = { min_wal_size: '80MB', max_wal_size: '256MB' }
const recoveryMsMax = 60_000

/** PostgreSQL on a disk whose power is cut: nobody starts it again but who has brought the disk back. */
export class PowerServer {
  readonly connectionString: string
  #start: ServerStart
  #server: ServerProcess

  private constructor(connectionString: string, start: ServerStart, server: ServerProcess) {
    this.connectionString = connectionString
    this.#start = start
    this.#server = server
  }

  /** `logFile`: not on that disk. */
  static async start(dataDir: string, logFile: string): Promise<PowerServer> {
    const { connectionString, start } = await prepareServer(dataDir, { logFile, settings: smallWal })
    const server = new PowerServer(connectionString, start, await spawnServer(start))
    await server.#answers()
    return server
  }

  /** In order, and again with other settings. */
  async restartWith(settings: Readonly<Record<string, string>>): Promise<void> {
    await this.stop()
    this.#start = { ...this.#start, settings: { ...this.#start.settings, ...settings } }
    await this.startAgain()
  }

  /** Milliseconds until it answers. */
  async startAgain(): Promise<number> {
    const startedMs = performance.now()
    this.#server = await spawnServer(this.#start)
    await this.#answers()
    return performance.now() - startedMs
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
