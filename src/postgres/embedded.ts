import { chmod, mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import pg from 'pg'
import { clientConfig } from './connection.ts'
import { type Binaries, findBinaries } from './embedded/binaries.ts'
import { clusterExists, createCluster, readPassword, SUPERUSER } from './embedded/cluster.ts'
import { clusterDirectoryOf } from './embedded/clusterDirectory.ts'
import { lockDirectory } from './embedded/directoryLock.ts'
import { EmbeddedPostgresError } from './embedded/errors.ts'
import { installBinaries } from './embedded/installBinaries.ts'
import { launchServer } from './embedded/launch.ts'
import { stopOrphan } from './embedded/orphan.ts'
import { requireOwnFolder, requireOwnPath } from './embedded/ownFiles.ts'
import { openServerLog } from './embedded/serverLog.ts'
import { stopServer } from './embedded/serverProcess.ts'
import { chooseServerUser } from './embedded/serverUser.ts'
import { renewServingLogin, SERVING_LOGIN } from './embedded/servingLogin.ts'
import { serverSettings } from './embedded/settings.ts'

export interface EmbeddedPostgresOptions {
  /** Made when it is not there. The cluster is in its folder `postgres`, the server's log in `postgres.log`. */
  readonly dataDir: string
  /** Told, in sentences for a person, what takes time and what was found amiss. */
  readonly log?: (message: string) => void
  /** Server settings in place of ours (embedded/settings.ts), e.g. `{ max_connections: '200' }`. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface EmbeddedPostgres {
  /** Of the superuser `waybill`, on the database `waybill`, which is there. Holds the password: never log it. */
  readonly connectionString: string
  /** The same of `waybill_server`, which owns nothing; its password is another at each start. Never log it. */
  readonly servingConnectionString: string
  /** On 127.0.0.1; another at each start. */
  readonly port: number
  /** Absolute. */
  readonly dataDir: string
  /** The postmaster's process id. */
  readonly pid: number
  /** Resolves when the server has ended, by `stop` or by itself. Never rejects. */
  readonly ended: Promise<void>
  /**
   * Stops the server, cutting off its clients, within `timeoutMs` (default 15,000); what is still running then is ended at
   * once and recovers at the next start. Then gives the directory free. Can be called again.
   */
  stop(timeoutMs?: number): Promise<void>
}

const DATABASE = 'waybill'

/**
 * Starts a PostgreSQL server of our own on 127.0.0.1, with its data below `dataDir`, kept between runs. The directory is
 * ours alone until `stop`, or until this process ends, however it ends. The server is not in our process group: signals
 * meant for us do not reach it; only a process killed by -9 leaves it running, and the next start here then stops it first.
 *
 * As root, PostgreSQL runs as another user (embedded/serverUser.ts).
 *
 * @throws {DirectoryInUseError} another live process works on the directory
 * @throws {EmbeddedPostgresError} it cannot be started; the message says why
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const dataDir = resolve(options.dataDir)
  try {
    // Before anything is made on disk: it may not be installed.
    const packaged = await findBinaries()
    await requireOwnPath(dataDir)
    const made = await mkdir(dataDir, { recursive: true, mode: 0o700 })
    // Root's PostgreSQL runs as another user, who has to pass through.
    if (made !== undefined && process.getuid?.() === 0) await chmod(dataDir, 0o711)
    await requireOwnFolder(dataDir)
    const lock = await lockDirectory(dataDir, options.log === undefined ? {} : { log: options.log })
    try {
      return await startIn(dataDir, packaged, options, () => lock.release())
    } catch (error) {
      await lock.release()
      throw error
    }
  } catch (error) {
    if (error instanceof EmbeddedPostgresError || !isSystemError(error)) throw error
    throw new EmbeddedPostgresError(`The embedded PostgreSQL cannot work in ${dataDir}: ${error.message}`, {
      cause: error,
    })
  }
}

async function startIn(
  dataDir: string,
  packaged: Binaries,
  options: EmbeddedPostgresOptions,
  release: () => Promise<void>,
): Promise<EmbeddedPostgres> {
  const log = options.log ?? (() => undefined)
  const clusterDirectory = clusterDirectoryOf(dataDir)
  const user = await chooseServerUser(clusterDirectory)
  const binaries = await installBinaries(packaged, user, log)
  const exists = await clusterExists(clusterDirectory, binaries)
  const password = await readPassword(dataDir, !exists)
  if (exists) {
    await stopOrphan({ binaries, user, clusterDirectory, password, log })
  } else {
    log(`Making the database in ${clusterDirectory} (once; takes some seconds)`)
    await createCluster({ dataDir, clusterDirectory, binaries, user, password })
  }
  const serverLog = await openServerLog(join(dataDir, 'postgres.log'))
  try {
    const settings = { ...(await serverSettings(dataDir)), ...options.settings }
    const { server, port } = await launchServer({ binaries, user, clusterDirectory, settings, serverLog, log })
    const stopOnce = async (timeoutMs: number) => {
      await stopServer(binaries, server.pid, timeoutMs, server.hasEnded)
      serverLog.close()
      await release()
    }
    let stopping: Promise<void> | undefined
    const stop = (timeoutMs = 15_000) => {
      stopping ??= stopOnce(timeoutMs)
      return stopping
    }
    const url = (user: string, password: string, database: string) =>
      `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`
    let servingPassword: string
    try {
      servingPassword = await ensureDatabase(url(SUPERUSER, password, 'postgres'))
    } catch (error) {
      await stop()
      throw error
    }
    return {
      connectionString: url(SUPERUSER, password, DATABASE),
      servingConnectionString: url(SERVING_LOGIN, servingPassword, DATABASE),
      port,
      dataDir,
      pid: server.pid,
      ended: server.ended,
      stop,
    }
  } catch (error) {
    serverLog.close()
    throw error
  }
}

/** Returns the password of the login that serves. */
async function ensureDatabase(connectionString: string): Promise<string> {
  const client = new pg.Client(
    clientConfig({ connectionString, applicationName: 'waybill start', connectTimeoutMs: 30_000 }),
  )
  client.on('error', () => undefined)
  await client.connect()
  try {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [DATABASE])
    if (rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`)
    return await renewServingLogin(client, DATABASE)
  } finally {
    await client.end()
  }
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error
}
