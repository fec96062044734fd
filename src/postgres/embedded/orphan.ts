import { randomBytes } from 'node:crypto'
import { constants, statSync } from 'node:fs'
import { open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { clientConfig } from '../connection.ts'
import type { Binaries } from './binaries.ts'
import { SUPERUSER } from './cluster.ts'
import { EmbeddedPostgresError } from './errors.ts'
import { createOwn, noFollow } from './ownFiles.ts'
import { processIdentity, processName } from './processIdentity.ts'
import { type PostmasterFile, readPostmasterFile, stopServer } from './serverProcess.ts'
import type { ServerUser } from './serverUser.ts'

export interface OrphanSearch {
  readonly binaries: Binaries
  readonly user: ServerUser | null
  readonly clusterDirectory: string
  readonly password: string
  readonly log: (message: string) => void
}

/** No process ever has this id: above every system's limit. */
const NOBODY = 2_147_483_647
const ANSWER_TIMEOUT_MS = 60_000
const SILENCE_TIMEOUT_MS = 5_000
const STOP_TIMEOUT_MS = 30_000
/** A server that lets nobody in recovers, ends or hangs; what it would still do, the recovery of the next start does too. */
const BUSY_PATIENCE_MS = 2_000

/**
 * A Waybill killed by -9 leaves its server running. Under the directory's lock, such a server is stopped, so that the next
 * one starts with today's programs and settings, and nothing the dead process had under way can still land.
 *
 * Only a server that proves to work on this very directory is stopped. The id in postmaster.pid may have been given to
 * another program since, or to the server of another directory (of which this one may even be a copy).
 */
export async function stopOrphan(search: OrphanSearch): Promise<void> {
  const { clusterDirectory, binaries, log } = search
  const file = await readSettledFile(clusterDirectory)
  if (file === null) return
  // PostgreSQL itself knows what to do about the file of a dead process.
  if (processIdentity(file.pid) === null) return
  const found = await identify(search, file)
  if (found !== 'another') {
    log(`Stopping the PostgreSQL that an earlier Waybill left behind (process ${file.pid})`)
    const gone = () => processIdentity(file.pid) === null
    await stopServer(binaries, file.pid, STOP_TIMEOUT_MS, gone, found === 'ours' ? 'SIGINT' : 'SIGQUIT')
    if (gone()) return
    throw new EmbeddedPostgresError(
      `PostgreSQL, process ${file.pid}, left behind by an earlier Waybill in ${clusterDirectory}, cannot be stopped. Stop it by hand.`,
    )
  }
  if (processIdentity(file.pid) === null) return
  log(`The PostgreSQL that last worked here is gone; process ${file.pid} is another program now`)
  await disown(clusterDirectory, file.pid)
}

/** A server writes the file in two steps; one that stays unreadable is the wreck of a full disk or a power cut. */
async function readSettledFile(clusterDirectory: string): Promise<PostmasterFile | null> {
  const path = join(clusterDirectory, 'postmaster.pid')
  for (let attempt = 1; attempt <= 20; attempt += 1) {
    const file = await readPostmasterFile(clusterDirectory)
    if (file !== null && Number.isInteger(file.port) && file.port > 0) return file
    const exists = await readFile(path).then(
      () => true,
      () => false,
    )
    if (!exists) return null
    await delay(50)
  }
  const file = await readPostmasterFile(clusterDirectory)
  if (file !== null) return file
  await rm(path, { force: true })
  return null
}

/**
 * Asks the server at the port that postmaster.pid names to read a file that was written to this directory just now. Its
 * system identifier or its password would not do: a copy of the directory has them too. `stuck`: it is ours, and does not
 * answer. (PostgreSQL 18 hangs for ever when it is told to stop, fast, while it recovers from the death of a session.)
 */
async function identify(search: OrphanSearch, file: PostmasterFile): Promise<'ours' | 'stuck' | 'another'> {
  const name = processName(file.pid)
  if (name !== null && !name.startsWith('postgres')) return 'another'
  const nonce = randomBytes(16).toString('hex')
  const nonceFile = join(search.clusterDirectory, 'waybill.nonce')
  // The folder is the server's user's, who may not make root write, or give away, what a link leads to.
  const written = await createOwn(nonceFile)
  try {
    await written.writeFile(nonce)
    if (search.user !== null) await written.chown(search.user.uid, search.user.gid)
  } finally {
    await written.close()
  }
  try {
    const start = performance.now()
    let silent = true
    while (performance.now() - start < (silent ? SILENCE_TIMEOUT_MS : ANSWER_TIMEOUT_MS)) {
      if (processIdentity(file.pid) === null) return 'another'
      const answer = await ask(file.port, search.password)
      if (answer !== 'silent' && answer !== 'busy') return answer.text === nonce ? 'ours' : 'another'
      if (answer === 'busy') silent = false
      if (performance.now() - start > BUSY_PATIENCE_MS && worksIn(file.pid, search.clusterDirectory)) return 'stuck'
      await delay(100)
    }
    // Nobody at the port. PostgreSQL's shared memory still guards the directory against a second server (see disown).
    return 'another'
  } finally {
    await rm(nonceFile, { force: true })
  }
}

/** A PostgreSQL's first process works in the folder of its cluster. False where the system does not tell (not Linux). */
function worksIn(pid: number, clusterDirectory: string): boolean {
  try {
    const [its, ours] = [statSync(`/proc/${pid}/cwd`), statSync(clusterDirectory)]
    return its.dev === ours.dev && its.ino === ours.ino
  } catch {
    return false
  }
}

/** `busy`: a PostgreSQL that starts, recovers or shuts down. `silent`: nobody there, or no PostgreSQL. */
async function ask(port: number, password: string): Promise<{ text: string } | 'busy' | 'silent'> {
  const connectionString = `postgres://${SUPERUSER}:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`
  const client = new pg.Client(
    clientConfig({
      connectionString,
      applicationName: 'waybill takeover',
      connectTimeoutMs: 2_000,
      queryTimeoutMs: 2_000,
    }),
  )
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rows } = await client.query<{ text: string | null }>(`SELECT pg_read_file('waybill.nonce', true) AS text`)
    return { text: rows[0]?.text ?? '' }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    // 57P03: starting up or shutting down; 53300: all connections taken.
    if (code === '57P03' || code === '57P01' || code === '53300') return 'busy'
    // Any other answer of a PostgreSQL, such as a refused password, is another cluster's.
    if (error instanceof pg.DatabaseError) return { text: '' }
    return 'silent'
  } finally {
    await client.end().catch(() => undefined)
  }
}

/**
 * PostgreSQL refuses to start while the process named in postmaster.pid lives. The name alone is changed: the file also
 * names the shared memory by which PostgreSQL finds out whether any process of the old server is left, which it still does.
 */
async function disown(clusterDirectory: string, pid: number): Promise<void> {
  const path = join(clusterDirectory, 'postmaster.pid')
  // The server's file: its mode is the server's affair.
  const file = await open(path, constants.O_RDWR | noFollow)
  try {
    const text = await file.readFile('latin1')
    if (!text.startsWith(`${pid}\n`)) return
    const disowned = Buffer.from(`${NOBODY}\n${text.slice(`${pid}\n`.length)}`, 'latin1')
    await file.truncate()
    await file.write(disowned, 0, disowned.length, 0)
  } finally {
    await file.close()
  }
}
