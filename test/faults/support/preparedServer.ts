import { join } from 'node:path'
import pg from 'pg'
import { findBinaries } from '../../../src/postgres/embedded/binaries.ts'
import { installBinaries } from '../../../src/postgres/embedded/installBinaries.ts'
import type { ServerStart } from '../../../src/postgres/embedded/serverProcess.ts'
import { chooseServerUser } from '../../../src/postgres/embedded/serverUser.ts'
import { serverSettings } from '../../../src/postgres/embedded/settings.ts'
import { startEmbeddedPostgres } from '../../../src/postgres/embedded.ts'
import { freePort } from './ports.ts'

export interface ServerOptions {
  /** In place of the service's own. */
  readonly settings?: Readonly<Record<string, string>>
  /** Where it writes; default: beside the cluster. */
  readonly logFile?: string
}

export interface PreparedServer {
  readonly connectionString: string
  readonly start: ServerStart
}

/** Makes the cluster and the database as the service would, stopped in order, for a server that comes back at one address. */
export async function prepareServer(dataDir: string, options: ServerOptions = {}): Promise<PreparedServer> {
  const made = await startEmbeddedPostgres({ dataDir })
  await made.stop()
  const clusterDirectory = join(dataDir, 'postgres')
  const user = await chooseServerUser(clusterDirectory)
  const binaries = await installBinaries(await findBinaries(), user, () => undefined)
  const port = await freePort()
  const settings = { ...(await serverSettings(dataDir)), ...options.settings, port: String(port) }
  const logFile = options.logFile ?? join(dataDir, 'postgres.log')
  const url = new URL(made.connectionString)
  url.port = String(port)
  return { connectionString: url.toString(), start: { binaries, user, clusterDirectory, settings, logFile } }
}

/** Whether it takes connections. */
export async function answers(connectionString: string): Promise<boolean> {
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
