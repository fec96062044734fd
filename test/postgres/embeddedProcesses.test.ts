import { copyFile, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { processIdentity } from '../../src/postgres/embedded/processIdentity.ts'
import { canReach } from '../../src/postgres/embedded/serverUser.ts'
import { EmbeddedProcess } from './embeddedProcess.ts'
import { type Installation, install } from './installation.ts'

const isRoot = process.getuid?.() === 0

let installation: Installation
let dataDir: string
const processes: EmbeddedProcess[] = []
const leftovers: string[] = []

beforeAll(async () => {
  installation = await install({ packages: 'linked', mode: 0o755 })
  dataDir = await newFolder()
})
afterEach(async () => {
  for (const process of processes.splice(0)) await process.stop()
})
afterAll(async () => {
  await installation.remove()
  for (const folder of leftovers) await rm(folder, { recursive: true, force: true })
})

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'waybill-processes-'))
  leftovers.push(folder)
  return folder
}

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
  await expect.poll(condition, { interval: 10, timeout: 10_000 }).toBe(true)
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
  async function plainUser(): Promise<{ uid: number; gid: number; execPath: string }> {
    const line = (await readFile('/etc/passwd', 'utf8')).split('\n').find((entry) => entry.startsWith('nobody:'))
    const [, , uid, gid] = line?.split(':') ?? []
    const user = { name: 'nobody', uid: Number(uid), gid: Number(gid) }
    if (canReach(user, process.execPath, 'execute')) return { ...user, execPath: process.execPath }
    const folder = await newFolder()
    const execPath = join(folder, 'node')
    await copyFile(process.execPath, execPath)
    const { chmod } = await import('node:fs/promises')
    await chmod(folder, 0o755)
    return { ...user, execPath }
  }

  test('a plain user runs the server as itself, in a directory nobody else can read', async () => {
    const user = await plainUser()
    const own = await install({ packages: 'copied', mode: 0o755 })
    leftovers.push(own.directory)
    const home = join(own.directory, 'home')
    const { chown, stat } = await import('node:fs/promises')
    await mkdir(home)
    await chown(home, user.uid, user.gid)
    const child = launch(own, join(home, '.waybill'), user)
    const { connectionString } = await child.ready()
    expect(await query(connectionString, 'SELECT 1 AS n')).toEqual([{ n: 1 }])
    expect((await stat(join(home, '.waybill', 'postgres'))).uid).toBe(user.uid)
    expect((await stat(join(home, '.waybill'))).mode & 0o777).toBe(0o700)
    await child.stop()

    const asRoot = launch(own, join(home, '.waybill'))
    expect(await query((await asRoot.ready()).connectionString, 'SELECT 1 AS n')).toEqual([{ n: 1 }])
    await asRoot.stop()
    expect((await stat(join(home, '.waybill', 'postgres'))).uid).toBe(user.uid)
    const again = launch(own, join(home, '.waybill'), user)
    await again.ready()
  })

  test('root starts it below a folder that no other user can enter', async () => {
    const hidden = await install({ packages: 'copied', mode: 0o700 })
    leftovers.push(hidden.directory)
    const child = launch(hidden, join(hidden.directory, '.waybill'))
    const { connectionString } = await child.ready()
    expect(await query(connectionString, 'SELECT 1 AS n')).toEqual([{ n: 1 }])
    await query(connectionString, 'CHECKPOINT')
    child.signal('SIGKILL')
    await child.exited
    const second = launch(hidden, join(hidden.directory, '.waybill'))
    expect(await query((await second.ready()).connectionString, 'SELECT 1 AS n')).toEqual([{ n: 1 }])
    await second.stop()
  })
})
