import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { DirectoryInUseError } from './errors.ts'
import { noFollow, requireFolder } from './ownFiles.ts'
import { processIdentity, processSpace } from './processIdentity.ts'

export interface LockOptions {
  /** Told when the wait for a heartbeat begins. */
  readonly log?: (message: string) => void
  /** A claim from another container or machine that shows no heartbeat for this long is a dead one. Default 10,000. */
  readonly silenceMs?: number
}

export interface DirectoryLock {
  /** Can be repeated. */
  release(): Promise<void>
}

const ATTEMPTS_MAX = 20
const HEARTBEAT_MS = 2_000
const SILENCE_MS = 5 * HEARTBEAT_MS

/** A claim's file is named `{pid}-{identity}-{space}-{random}`. */
interface Claim {
  readonly file: string
  readonly pid: number
  readonly identity: string
  readonly space: string
}

/**
 * Takes a directory for this process, until `release` or the process's end, even by kill -9.
 *
 * Node has no flock, so each contender puts up a claim: a file named after its process id, the time that process started
 * (so that a recycled id is told apart) and a random part. Then it looks: a live claim of another refuses it. Of any two
 * contenders, the one whose claim went up later sees the other's, so both can never win; and a dead process's claim can be
 * removed by anybody at any time, for its name means that one process. Two who start at the same moment may refuse each
 * other: they try again after a random pause; a claim that says `held` is waited for by nobody.
 *
 * Process ids of another container or machine that shares the directory mean nothing here: such a claim is watched for the
 * holder's heartbeat.
 *
 * @throws {DirectoryInUseError}
 */
export async function lockDirectory(directory: string, options: LockOptions = {}): Promise<DirectoryLock> {
  const folder = join(directory, 'lock')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await requireFolder(folder)
  for (let attempt = 1; ; attempt += 1) {
    const own = [
      process.pid,
      processIdentity(process.pid) ?? 'unknown',
      processSpace(),
      randomBytes(6).toString('hex'),
    ].join('-')
    const path = join(folder, own)
    await writeFile(path, describe(false), { flag: 'wx', mode: 0o600 })
    const stopHeart = beat(path)
    const release = async () => {
      stopHeart()
      await rm(path, { force: true })
    }
    let rival: Rival | null
    try {
      rival = await findRival(folder, own, options)
      if (rival === null) {
        await writeFile(path, describe(true), { flag: constants.O_WRONLY | constants.O_TRUNC | noFollow })
        return { release }
      }
    } catch (error) {
      await release()
      throw error
    }
    await release()
    if (rival.held || attempt >= ATTEMPTS_MAX) throw new DirectoryInUseError(directory, rival.pid, rival.host)
    await delay(20 + Math.random() * 80)
  }
}

/** From the claim on, not from the hold: two contenders who watch each other must each see the other alive. */
function beat(path: string): () => void {
  const heartbeat = setInterval(() => {
    const now = new Date()
    // A beat missed is made good by the next.
    utimes(path, now, now).catch(() => undefined)
  }, HEARTBEAT_MS)
  heartbeat.unref()
  return () => clearInterval(heartbeat)
}

interface Rival {
  readonly pid: number
  readonly held: boolean
  /** Where it runs; null: here. */
  readonly host: string | null
}

async function findRival(folder: string, own: string, options: LockOptions): Promise<Rival | null> {
  let rival: Rival | null = null
  for (const claim of (await readdir(folder)).map(parseClaim)) {
    if (claim === null || claim.file === own) continue
    const path = join(folder, claim.file)
    const here = claim.space === processSpace()
    const alive = here ? processIdentity(claim.pid) === claim.identity : await beats(path, options)
    if (!alive) {
      await rm(path, { force: true })
      continue
    }
    const { held, host } = await readDescription(path)
    if (rival === null || held) rival = { pid: claim.pid, held, host: here ? null : host }
  }
  return rival
}

function parseClaim(file: string): Claim | null {
  const [, pid, identity, space] = /^(\d+)-([A-Za-z0-9.]+)-([A-Za-z0-9]+)-[0-9a-f]{12}$/.exec(file) ?? []
  if (pid === undefined || identity === undefined || space === undefined) return null
  return { file, pid: Number(pid), identity, space }
}

/** Watches a claim until its heartbeat is seen, it goes away, or the silence is long enough. No two clocks are compared. */
async function beats(path: string, { log, silenceMs = SILENCE_MS }: LockOptions): Promise<boolean> {
  const modified = () =>
    stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => null,
    )
  log?.('Looking whether the Waybill of another container or machine that had the directory is still there')
  const first = await modified()
  const deadline = performance.now() + silenceMs
  while (performance.now() < deadline) {
    const now = await modified()
    if (now === null) return false
    if (now !== first) return true
    await delay(100)
  }
  return false
}

function describe(held: boolean): string {
  return JSON.stringify({ held, host: hostname() })
}

async function readDescription(path: string): Promise<{ held: boolean; host: string }> {
  try {
    const text: unknown = JSON.parse(await readFile(path, 'utf8'))
    if (typeof text === 'object' && text !== null && 'held' in text && 'host' in text) {
      return { held: text.held === true, host: String(text.host) }
    }
  } catch {
    // Gone, or being rewritten at this moment: its holder tells us at the next attempt.
  }
  return { held: false, host: 'another host' }
}
