// One embedded PostgreSQL for the whole run, with the settings a server in production gets.
import { mkdir, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { startEmbeddedPostgres } from '../../src/postgres/embedded.ts'
import { makeMigratedTemplate } from './migratedTemplate.ts'
import { makeRunFolder, removeRunFolder } from './runFolder.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Of the superuser, on database `waybill`, which tests leave alone: each takes a database of its own (database.ts). */
    postgresConnectionString: string
    /** A folder for temporary files, gone after the run with every PostgreSQL that works in it. Other users can enter it. */
    scratchDirectory: string
    /** As that one, for PostgreSQL's data, in memory where there is plenty; programs may not be allowed to run there. */
    dataDirectory: string
    /**
     * The clause by which databases are copied fastest: the other strategy takes twice as long in memory, and many times as
     * long on a disk. Empty on PostgreSQL 14, which copies files and has no such clause.
     */
    copyStrategy: 'STRATEGY file_copy' | 'STRATEGY wal_log' | ''
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await makeRunFolder('waybill-test')
  const memory = await roomyMemory()
  const serverFolder = await makeRunFolder('waybill-test', memory ?? tmpdir())
  // An interrupted run does not come to its teardown, and a signal ends Node without a word unless it is listened to.
  const exit = () => process.exit(1)
  const removeNow = () => {
    for (const each of [serverFolder, folder]) removeRunFolder(each)
  }
  process.on('exit', removeNow)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, exit)

  const scratch = join(folder, 'scratch')
  const data = join(serverFolder, 'data')
  for (const each of [scratch, data]) await mkdir(each, { mode: 0o711 })
  const server = givenServer() ?? (await startServer(join(serverFolder, 'server')))
  const hasStrategies = (await serverMajor(server.connectionString)) >= 15
  await makeMigratedTemplate(server.connectionString, hasStrategies ? 'STRATEGY wal_log' : '')
  project.provide('postgresConnectionString', server.connectionString)
  project.provide('scratchDirectory', scratch)
  project.provide('dataDirectory', data)
  const fastest = memory === null ? 'STRATEGY wal_log' : 'STRATEGY file_copy'
  project.provide('copyStrategy', hasStrategies ? fastest : '')
  return async () => {
    await server.stop()
    removeNow()
    process.off('exit', removeNow)
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, exit)
  }
}

interface RunServer {
  readonly connectionString: string
  stop(): Promise<void>
}

/** Another server than the embedded one, of its superuser (scripts/testPostgres.mjs). Null: none is given. */
function givenServer(): RunServer | null {
  const connectionString = process.env.WAYBILL_TEST_POSTGRES_URL ?? ''
  return connectionString === '' ? null : { connectionString, stop: async () => undefined }
}

async function startServer(dataDir: string): Promise<RunServer> {
  const server = await startEmbeddedPostgres({
    dataDir,
    settings: { max_connections: '300', min_wal_size: '80MB', max_wal_size: '512MB' },
  })
  await makeLoginsCheap(server.connectionString)
  return server
}

async function serverMajor(connectionString: string): Promise<number> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  const { rows } = await client.query<{ number: number }>(
    `SELECT current_setting('server_version_num')::int / 10000 AS number`,
  )
  await client.end()
  return rows[0]?.number ?? 0
}

const serverBytesMax = 2 * 1024 ** 3

/**
 * A folder in memory, where there is plenty, or null. Each test drops its database, which writes and flushes whatever any
 * test has changed: thousands of small files, half a second on a disk. The server's settings are the same.
 */
async function roomyMemory(): Promise<string | null> {
  const folder = '/dev/shm'
  const free = await statfs(folder).then(
    ({ bavail, bsize }) => Math.min(bavail * bsize, process.availableMemory()),
    () => 0,
  )
  return free >= 2 * serverBytesMax ? folder : null
}

/** Thousands of connections log in: a quarter of what each costs is the password, hashed 4,096 times on both sides. */
async function makeLoginsCheap(connectionString: string): Promise<void> {
  const { username, password } = new URL(connectionString)
  const client = new pg.Client({ connectionString })
  await client.connect()
  await client.query('SET scram_iterations = 1')
  await client.query(`ALTER ROLE ${username} PASSWORD ${client.escapeLiteral(decodeURIComponent(password))}`)
  await client.end()
}
