import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { DirectoryInUseError } from './errors.ts'
import { processIdentity } from './processIdentity.ts'

export interface DirectoryLock {
  release(): Promise<void>
}

/**
 * Takes a directory for this process, until `release` or the process's end, even by kill -9.
 *
 * Node has no flock, so each contender puts up a claim: a file named after its process id, the time that process started
 * (so that a recycled id is told apart) and a random part. Then it looks: a live claim of another refuses it. Of any two
 * contenders, the one whose claim went up later sees the other's, so both can never win; a dead process's claim can be
 * removed by anybody at any time, for its name means that one process. Two who start at the same moment may refuse each
 * other: they try again after a random pause, but for a claim that says `held` nobody waits.
 *
 * @throws {DirectoryInUseError}
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const folder = join(directory, 'lock')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const attemptsMax = 20
  for (let attempt = 1; ; attempt += 1) {
    const claim = `${process.pid}-${processIdentity(process.pid) ?? 'unknown'}-${randomBytes(6).toString('hex')}`
    const path = join(folder, claim)
    await writeFile(path, '', { flag: 'wx' })
    const rival = await findRival(folder, claim)
    if (rival === null) {
      await writeFile(path, 'held')
      return { release: () => rm(path, { force: true }) }
    }
    await rm(path, { force: true })
    if (rival.held || attempt >= attemptsMax) throw new DirectoryInUseError(directory, rival.pid)
    await delay(20 + Math.random() * 80)
  }
}

async function findRival(folder: string, own: string): Promise<{ pid: number; held: boolean } | null> {
  let rival: { pid: number; held: boolean } | null = null
  for (const claim of await readdir(folder)) {
    const [, pidText, identity] = /^(\d+)-(.+)-[0-9a-f]{12}$/.exec(claim) ?? []
    if (claim === own || pidText === undefined) continue
    const pid = Number(pidText)
    const current = processIdentity(pid)
    const path = join(folder, claim)
    if (current === null || current !== identity) {
      await rm(path, { force: true })
      continue
    }
    const held = (await readFile(path, 'utf8').catch(() => '')) === 'held'
    if (rival === null || held) rival = { pid, held }
  }
  return rival
}
