import { spawn } from 'node:child_process'
import { appendFile, chmod, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { findBinaries } from '../../src/postgres/embedded/binaries.ts'
import { launchServer } from '../../src/postgres/embedded/launch.ts'
import { processIdentity } from '../../src/postgres/embedded/processIdentity.ts'
import { openServerLog } from '../../src/postgres/embedded/serverLog.ts'
import { chooseServerUser } from '../../src/postgres/embedded/serverUser.ts'
import { serverSettings } from '../../src/postgres/embedded/settings.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/postgres/embedded.ts'

/** A directory whose cluster was made once; each test starts on a copy. */
let template: string
const folders: string[] = []
const servers: EmbeddedPostgres[] = []

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(inject('dataDirectory'), 'embedded-'))
  folders.push(folder)
  return folder
}

async function start(dataDir: string, log: string[] = []): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({
    dataDir,
    log: (message) => log.push(message),
    settings: { min_wal_size: '80MB' },
  })
  servers.push(server)
  return server
}

/** As a person would with `cp -a`: owners stay. */
async function copyDirectory(source: string): Promise<string> {
  const target = await newFolder()
  const child = spawn('cp', ['-a', `${source}/.`, target], { stdio: 'inherit' })
  const code = await new Promise((resolve) => child.on('close', resolve))
  expect(code).toBe(0)
  return target
}

async function query(connectionString: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    return (await client.query(sql)).rows as unknown[]
  } finally {
    await client.end()
  }
}

beforeAll(async () => {
  template = await newFolder()
  const server = await start(template)
  await query(server.connectionString, `CREATE TABLE kept AS SELECT 'yes' AS word`)
  await server.stop()
})
afterAll(async () => {
  for (const server of servers) await server.stop()
  for (const folder of folders) await rm(folder, { recursive: true, force: true })
})

test('it keeps its data, and what it confirms, and is reachable from this machine with its password alone', async () => {
  const dataDir = await copyDirectory(template)
  const server = await start(dataDir)
  expect(await query(server.connectionString, 'SELECT word FROM kept')).toEqual([{ word: 'yes' }])
  const settings = {
    fsync: 'on',
    full_page_writes: 'on',
    synchronous_commit: 'on',
    data_checksums: 'on',
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    password_encryption: 'scram-sha-256',
    server_encoding: 'UTF8',
    client_connection_check_interval: '1000',
    TimeZone: 'UTC',
  }
  const rows = await query(server.connectionString, 'SELECT name, setting FROM pg_settings')
  const actual = new Map((rows as { name: string; setting: string }[]).map(({ name, setting }) => [name, setting]))
  for (const [name, setting] of Object.entries(settings)) expect([name, actual.get(name)]).toEqual([name, setting])
  expect(
    await query(
      server.connectionString,
      'SELECT datlocprovider, datlocale FROM pg_database WHERE datname = current_database()',
    ),
  ).toEqual([{ datlocprovider: 'b', datlocale: 'C.UTF-8' }])

  const stranger = new URL(server.connectionString)
  stranger.password = 'guessed'
  await expect(query(stranger.toString(), 'SELECT 1')).rejects.toThrow('password authentication failed')
  expect((await stat(join(dataDir, 'postgres-password'))).mode & 0o777).toBe(0o600)
  expect((await stat(join(dataDir, 'postgres'))).mode & 0o777).toBe(0o700)

  await server.stop()
  await server.stop()
  expect(processIdentity(server.pid)).toBeNull()
  await expect(query(server.connectionString, 'SELECT 1')).rejects.toThrow('ECONNREFUSED')
})

test('a server that ends by itself is noticed, and the next start recovers', async () => {
  const dataDir = await copyDirectory(template)
  const first = await start(dataDir)
  await query(first.connectionString, 'CREATE TABLE written AS SELECT 1 AS n')
  process.kill(first.pid, 'SIGKILL')
  await first.ended
  await first.stop()
  const second = await start(dataDir)
  expect(await query(second.connectionString, 'SELECT n FROM written')).toEqual([{ n: 1 }])
  await second.stop()
})

test('a process id in postmaster.pid that another program was given since stops nothing', async () => {
  const dataDir = await copyDirectory(template)
  const other = spawn('sleep', ['60'], { stdio: 'ignore' })
  try {
    const file = [other.pid, join(dataDir, 'postgres'), 1, 54321, '', '127.0.0.1', '  1 2', 'ready   ', '']
    await writeFile(join(dataDir, 'postgres', 'postmaster.pid'), file.join('\n'))
    const log: string[] = []
    const server = await start(dataDir, log)
    expect(log).toEqual([`The PostgreSQL that last worked here is gone; process ${other.pid} is another program now`])
    expect(await query(server.connectionString, 'SELECT word FROM kept')).toEqual([{ word: 'yes' }])
    expect(other.exitCode).toBeNull()
    await server.stop()
  } finally {
    other.kill()
  }
})

test('a copy of a directory in use does not stop the server of the original', async () => {
  const original = await start(await copyDirectory(template))
  const copy = await copyDirectory(original.dataDir)
  await rm(join(copy, 'lock'), { recursive: true })
  // The copy is torn, as a copy of a running database is; all that matters is whose server gets stopped.
  await start(copy).catch(() => undefined)
  expect(await query(original.connectionString, 'SELECT word FROM kept')).toEqual([{ word: 'yes' }])
  await original.stop()
})

test('an unreadable postmaster.pid, the wreck of a power cut, stops nobody', async () => {
  const dataDir = await copyDirectory(template)
  await writeFile(join(dataDir, 'postgres', 'postmaster.pid'), '')
  const server = await start(dataDir)
  await server.stop()
})

test('the cluster of another major version is refused, by number', async () => {
  const dataDir = await copyDirectory(template)
  await writeFile(join(dataDir, 'postgres', 'PG_VERSION'), '17\n')
  await expect(start(dataDir)).rejects.toThrow(/made by PostgreSQL 17; this Waybill brings PostgreSQL 18/)
  // And left as it was.
  await writeFile(join(dataDir, 'postgres', 'PG_VERSION'), '18\n')
  const server = await start(dataDir)
  expect(await query(server.connectionString, 'SELECT word FROM kept')).toEqual([{ word: 'yes' }])
  await server.stop()
})

test('a cluster restored from a base backup is let in to once it has recovered, and takes writes then', async () => {
  const dataDir = await copyDirectory(template)
  const wal = join(await newFolder(), 'wal')
  // PostgreSQL of a run by root belongs to another user.
  for (const folder of [dirname(wal), wal]) {
    await mkdir(folder, { recursive: true })
    await chmod(folder, 0o777)
  }
  await appendFile(
    join(dataDir, 'postgres', 'postgresql.conf'),
    `archive_mode = on\narchive_command = 'cp %p ${wal}/%f'\n`,
  )
  const server = await start(dataDir)
  const client = new pg.Client({ connectionString: server.connectionString })
  await client.connect()
  await client.query(`SELECT pg_backup_start('test', true)`)
  const base = await copyDirectory(dataDir)
  await client.query(`UPDATE kept SET word = 'later'`)
  const { rows } = await client.query<{ labelfile: string }>('SELECT labelfile FROM pg_backup_stop()')
  await client.end()
  await server.stop()

  await rm(join(base, 'lock'), { recursive: true })
  const cluster = join(base, 'postgres')
  await rm(join(cluster, 'postmaster.pid'))
  for (const [name, text] of [
    ['backup_label', rows[0]?.labelfile ?? ''],
    ['recovery.signal', ''],
  ] as const) {
    await writeFile(join(cluster, name), text)
    await chmod(join(cluster, name), 0o666)
  }
  await appendFile(join(cluster, 'postgresql.conf'), `restore_command = 'cp ${wal}/%f %p'\n`)
  const restored = await start(base)
  expect(await query(restored.connectionString, 'SELECT pg_is_in_recovery() AS recovering, word FROM kept')).toEqual([
    { recovering: false, word: 'later' },
  ])
  await query(restored.connectionString, 'CREATE TABLE written ()')
  await restored.stop()
})

test('a lost password is said to be lost', async () => {
  const dataDir = await copyDirectory(template)
  await rm(join(dataDir, 'postgres-password'))
  await expect(start(dataDir)).rejects.toThrow(`there is no ${join(dataDir, 'postgres-password')}`)
})

test('a server that cannot start says why, and leaves the directory free', async () => {
  const dataDir = await copyDirectory(template)
  const control = join(dataDir, 'postgres', 'global', 'pg_control')
  await rename(control, `${control}.aside`)
  await expect(start(dataDir)).rejects.toThrow(/PostgreSQL did not start.*pg_control/s)
  await rename(`${control}.aside`, control)
  const server = await start(dataDir)
  await server.stop()
})

test('a directory that cannot be made is named', async () => {
  const file = join(await newFolder(), 'file')
  await writeFile(file, '')
  await expect(start(join(file, 'data'))).rejects.toThrow(
    `The embedded PostgreSQL cannot work in ${join(file, 'data')}`,
  )
})

test('a port that somebody took meanwhile is left to them', async () => {
  const dataDir = await copyDirectory(template)
  const clusterDirectory = join(dataDir, 'postgres')
  const occupant = createServer()
  const taken = await new Promise<number>((resolve) => {
    occupant.listen(0, '127.0.0.1', () => resolve((occupant.address() as { port: number }).port))
  })
  const spare = createServer()
  const free = await new Promise<number>((resolve) => {
    spare.listen(0, '127.0.0.1', () => resolve((spare.address() as { port: number }).port))
  })
  await new Promise((resolve) => spare.close(resolve))
  const ports = [taken, taken, free]
  const serverLog = await openServerLog(join(dataDir, 'postgres.log'))
  try {
    const { server, port } = await launchServer({
      binaries: await findBinaries(),
      user: await chooseServerUser(clusterDirectory),
      clusterDirectory,
      settings: await serverSettings(dataDir),
      serverLog,
      log: () => undefined,
      findPort: async () => ports.shift() ?? free,
    })
    process.kill(server.pid, 'SIGINT')
    await server.ended
    expect(port).toBe(free)
  } finally {
    serverLog.close()
    occupant.close()
  }
})

test('the server’s log is bounded', async () => {
  const path = join(await newFolder(), 'postgres.log')
  await writeFile(path, Buffer.alloc(17 * 1024 * 1024, 'x'))
  const log = await openServerLog(path)
  log.close()
  expect(await log.size()).toBe(0)
  expect((await stat(`${path}.1`)).size).toBe(17 * 1024 * 1024)
  await writeFile(path, 'the last words')
  expect(await log.since(4)).toBe('last words')
  expect(await readFile(path, 'utf8')).toBe('the last words')
})
