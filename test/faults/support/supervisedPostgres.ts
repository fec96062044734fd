import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { findBinaries } from '../../../src/postgres/embedded/binaries.ts'
import { installBinaries } from '../../../src/postgres/embedded/installBinaries.ts'
import {
  type ServerProcess,
  type ServerStart,
  signalServer,
  spawnServer,
  stopServer,
} from '../../../src/postgres/embedded/serverProcess.ts'
import { chooseServerUser } from '../../../src/postgres/embedded/serverUser.ts'
import { serverSettings } from '../../../src/postgres/embedded/settings.ts'
import { startEmbeddedPostgres } from '../../../src/postgres/embedded.ts'
import { until } from '../../nodes/support/until.ts'
import { freePort } from './ports.ts'

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

  static async start(dataDir: string): Promise<SupervisedPostgres> {
    // Makes the cluster and the database as the service would.
    const made = await startEmbeddedPostgres({ dataDir })
    await made.stop()
    const clusterDirectory = join(dataDir, 'postgres')
    const user = await chooseServerUser(clusterDirectory, dataDir)
    const binaries = await installBinaries(await findBinaries(), user, () => undefined)
    const port = await freePort()
    const settings = { ...(await serverSettings(dataDir)), port: String(port) }
    const start = { binaries, user, clusterDirectory, settings, logFile: join(dataDir, 'postgres.log') }
    const url = new URL(made.connectionString)
    url.port = String(port)
    const server = new SupervisedPostgres(url.toString(), start, await spawnServer(start))
    await until('PostgreSQL answers', 30_000, () => answers(server.connectionString))
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

async function answers(connectionString: string): Promise<boolean> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 2_000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => undefined)
  }
}
