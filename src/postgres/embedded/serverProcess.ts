import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Binaries } from './binaries.ts'
import { openFolderFor } from './folderAccess.ts'
import { isAlive } from './processIdentity.ts'
import type { ServerUser } from './serverUser.ts'

/** The programs get a clean environment: no secret of ours, no PG* variable, no locale that is not installed. */
export const serverEnvironment = { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }

/** What postmaster.pid says. */
export interface PostmasterFile {
  readonly pid: number
  readonly port: number
  readonly status: string
}

/** Null when the file is not there, or is half written. */
export async function readPostmasterFile(clusterDirectory: string): Promise<PostmasterFile | null> {
  const text = await readFile(join(clusterDirectory, 'postmaster.pid'), 'latin1').catch(() => '')
  const lines = text.split('\n')
  const pid = Number(lines[0])
  if (!Number.isInteger(pid) || pid <= 0) return null
  return { pid, port: Number(lines[3] ?? ''), status: (lines[7] ?? '').trim() }
}

export interface ServerStart {
  readonly binaries: Binaries
  readonly user: ServerUser | null
  readonly clusterDirectory: string
  readonly settings: Readonly<Record<string, string>>
  readonly logFile: string
}

/** Spawned and not yet known to accept connections. */
export function spawnServer({ binaries, user, clusterDirectory, settings, logFile }: ServerStart): ChildProcess {
  const log = openSync(logFile, 'a', 0o600)
  const access = openFolderFor(user, clusterDirectory)
  try {
    const child = spawn(
      binaries.postgres,
      ['-D', access.path, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
      {
        // A session of its own: Ctrl-C signals the terminal's whole foreground group, and PostgreSQL must outlive our drain.
        detached: true,
        cwd: '/',
        env: serverEnvironment,
        stdio: access.stdio(log),
        ...(user === null ? {} : { uid: user.uid, gid: user.gid }),
      },
    )
    child.unref()
    return child
  } finally {
    access.close()
    closeSync(log)
  }
}

/** Smart, fast and immediate shutdown are SIGTERM, SIGINT and SIGQUIT to the postmaster. */
export function signalServer(binaries: Binaries, pid: number, signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): void {
  try {
    if (process.platform === 'win32') spawnSync(binaries.pgCtl, ['kill', signal.slice(3), String(pid)])
    else process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Stops a server: fast, and if that takes longer than `timeoutMs`, at once (the next start then recovers from the WAL). */
export async function stopServer(
  binaries: Binaries,
  pid: number,
  timeoutMs: number,
  ended: () => boolean = () => !isAlive(pid),
): Promise<void> {
  for (const [signal, waitMs] of [
    ['SIGINT', timeoutMs],
    ['SIGQUIT', 5_000],
    ['SIGKILL', 5_000],
  ] as const) {
    signalServer(binaries, pid, signal)
    const deadline = Date.now() + waitMs
    while (Date.now() < deadline) {
      if (ended()) return
      await delay(10)
    }
  }
}
