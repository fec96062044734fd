import { chmod, mkdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { clientConfig } from './connection.ts'
import { findBinaries } from './embedded/binaries.ts'
import { clusterExists, createCluster, readPassword, SUPERUSER } from './embedded/cluster.ts'
import { lockDirectory } from './embedded/directoryLock.ts'
import { EmbeddedPostgresError } from './embedded/errors.ts'
import { readPostmasterFile, signalServer, spawnServer, stopServer } from './embedded/serverProcess.ts'
import { chooseServerUser } from './embedded/serverUser.ts'
import { serverSettings } from './embedded/settings.ts'

export interface EmbeddedPostgresOptions {
  /** Made when it is not there. The cluster is in its folder `postgres`, the server's log in `postgres.log`. */
  readonly dataDir: string
  /** Told, in sentences, what takes time and what was found amiss. */
  readonly log?: (message: string) => void
  /** Server settings in place of ours, e.g. `{ max_connections: '200' }`. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface EmbeddedPostgres {
  /** Of the superuser, who owns the database `waybill`. Holds the password: never log it. */
  readonly connectionString: string
  readonly port: number
  /** Absolute. */
  readonly dataDir: string
  /** The postmaster's process id. */
  readonly pid: number
  /** Resolves when the server has ended, by `stop` or otherwise. */
  readonly ended: Promise<void>
  /** Stops the server (within `timeoutMs`, default 15,000, its clients cut off; then at once) and gives the directory free. Can be repeated. */
  stop(timeoutMs?: number): Promise<void>
}

const DATABASE = 'waybill'
const PORT_ATTEMPTS_MAX = 5

/**
 * Starts a PostgreSQL server of our own on 127.0.0.1, on a free port, with its data below `dataDir`, kept between runs.
 *
 * @throws {DirectoryInUseError} another live process works on the directory
 * @throws {EmbeddedPostgresError} it cannot be started; the message says why
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const dataDir = resolve(options.dataDir)
  const log = options.log ?? (() => undefined)
  const made = await mkdir(dataDir, { recursive: true, mode: 0o700 })
  // Root's PostgreSQL runs as another user, who must be able to pass through.
  if (made !== undefined && process.getuid?.() === 0) await chmod(dataDir, 0o711)
  const lock = await lockDirectory(dataDir)
  try {
    const binaries = await findBinaries()
    const clusterDirectory = join(dataDir, 'postgres')
    const user = await chooseServerUser(clusterDirectory)
    const exists = await clusterExists(clusterDirectory, binaries)
    const password = await readPassword(dataDir, !exists)
    if (!exists) {
      log('Making the database (once; takes some seconds)')
      await createCluster(dataDir, clusterDirectory, binaries, user, password)
    }
    const logFile = join(dataDir, 'postgres.log')
    let server: Awaited<ReturnType<typeof launch>> = null
    for (let attempt = 1; server === null; attempt += 1) {
      if (attempt > PORT_ATTEMPTS_MAX) throw new EmbeddedPostgresError(`PostgreSQL did not start; see ${logFile}`)
      const port = await freePort()
      const settings = { ...(await serverSettings(dataDir, port)), ...options.settings, port: String(port) }
      server = await launch({ binaries, user, clusterDirectory, settings, logFile }, port)
    }
    const { pid, port, ended, hasEnded } = server
    const killAtExit = () => signalServer(binaries, pid, 'SIGINT')
    process.on('exit', killAtExit)
    const stop = async (timeoutMs = 15_000) => {
      if (!hasEnded()) await stopServer(binaries, pid, timeoutMs, hasEnded)
      process.off('exit', killAtExit)
      await lock.release()
    }
    try {
      const connectionString = (database: string) =>
        `postgres://${SUPERUSER}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`
      await ensureDatabase(connectionString('postgres'))
      return { connectionString: connectionString(DATABASE), port, dataDir, pid, ended, stop }
    } catch (error) {
      await stop()
      throw error
    }
  } catch (error) {
    await lock.release()
    throw error
  }
}

async function launch(start: Parameters<typeof spawnServer>[0], port: number) {
  const child = spawnServer(start)
  let over = false
  const ended = new Promise<void>((resolveEnded) => {
    child.on('error', () => {
      over = true
      resolveEnded()
    })
    child.on('exit', () => {
      over = true
      resolveEnded()
    })
  })
  const { pid } = child
  while (pid !== undefined && !over) {
    const file = await readPostmasterFile(start.clusterDirectory)
    if (file?.pid === pid && file.status === 'ready') return { pid, port, ended, hasEnded: () => over }
    await delay(20)
  }
  return null
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((listening, failed) => {
    server.on('error', failed)
    server.listen(0, '127.0.0.1', listening)
  })
  const address = server.address()
  await new Promise((closed) => server.close(closed))
  if (address === null || typeof address === 'string') throw new Error('A listening socket has no port')
  return address.port
}

async function ensureDatabase(connectionString: string): Promise<void> {
  const client = new pg.Client(clientConfig({ connectionString, applicationName: 'waybill start' }))
  client.on('error', () => undefined)
  await client.connect()
  try {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [DATABASE])
    if (rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`)
  } finally {
    await client.end()
  }
}
