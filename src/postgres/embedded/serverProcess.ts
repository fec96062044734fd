import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, constants, openSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Binaries } from './binaries.ts'
import { childEnvironment } from './childEnvironment.ts'
import { openFolderFor } from './folderAccess.ts'
import { noFollow, readWithoutLink } from './ownFiles.ts'
import type { ServerUser } from './serverUser.ts'

/** What postmaster.pid says. */
export interface PostmasterFile {
  readonly pid: number
  /** NaN while the file is half written. */
  readonly port: number
  /** `starting`, `stopping`, `ready` or `standby`; empty while the file is half written. */
  readonly status: string
}

/** Null when the file is not there, or says nothing yet. */
export async function readPostmasterFile(clusterDirectory: string): Promise<PostmasterFile | null> {
  const text = await readWithoutLink(join(clusterDirectory, 'postmaster.pid'), 'latin1').catch(() => '')
  const lines = text.split('\n')
  const pid = Number(lines[0])
  if (!Number.isInteger(pid) || pid <= 0) return null
  return { pid, port: Number.parseInt(lines[3] ?? '', 10), status: (lines[7] ?? '').trim() }
}

export interface ServerStart {
  readonly binaries: Binaries
  readonly user: ServerUser | null
  readonly clusterDirectory: string
  readonly settings: Readonly<Record<string, string>>
  readonly logFile: string
}

export interface ServerProcess {
  readonly pid: number
  readonly hasEnded: () => boolean
  readonly ended: Promise<void>
}

/** Spawns the server, not yet known to accept connections. Should this process exit without stopping it, it stops too. */
export async function spawnServer(start: ServerStart): Promise<ServerProcess> {
  const { binaries, user, clusterDirectory, settings, logFile } = start
  const log = openSync(logFile, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | noFollow, 0o600)
  const access = openFolderFor(user, clusterDirectory)
  let child: ChildProcess
  try {
    child = spawn(
      binaries.postgres,
      ['-D', access.path, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
      {
        // A session of its own: Ctrl-C signals the terminal's whole foreground group, and PostgreSQL must outlive our drain.
        detached: true,
        cwd: '/',
        env: childEnvironment,
        stdio: access.stdio(log),
        ...(user === null ? {} : { uid: user.uid, gid: user.gid }),
      },
    )
  } finally {
    access.close()
    closeSync(log)
  }
  let over = false
  const ended = new Promise<void>((resolve) => {
    child.on('exit', () => {
      over = true
      resolve()
    })
  })
  await new Promise<void>((resolve, reject) => {
    child.on('spawn', resolve)
    child.on('error', reject)
  })
  const { pid } = child
  if (pid === undefined) throw new Error('A spawned process has no id')
  // An exit that runs no clean-up (process.exit, an uncaught exception) must leave no server behind.
  const stopAtExit = () => signalServer(binaries, pid, 'SIGINT')
  process.on('exit', stopAtExit)
  ended.then(() => process.off('exit', stopAtExit)).catch(() => undefined)
  child.unref()
  return { pid, ended, hasEnded: () => over }
}

/** Fast and immediate shutdown are SIGINT and SIGQUIT to the postmaster. */
export function signalServer(binaries: Binaries, pid: number, signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): void {
  try {
    if (process.platform === 'win32') {
      spawnSync(binaries.pgCtl, ['kill', signal.slice('SIG'.length), String(pid)], { env: childEnvironment })
    } else process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/**
 * Stops a server: fast, with a checkpoint, its clients cut off; and if that takes longer than `timeoutMs`, at once (the next
 * start then recovers from the WAL). Returns when `ended` says so, or some seconds after the last resort. `first`: SIGQUIT
 * for at once.
 */
export async function stopServer(
  binaries: Binaries,
  pid: number,
  timeoutMs: number,
  ended: () => boolean,
  first: 'SIGINT' | 'SIGQUIT' = 'SIGINT',
): Promise<void> {
  const steps = [
    ['SIGINT', timeoutMs],
    ['SIGQUIT', 5_000],
    ['SIGKILL', 5_000],
  ] as const
  for (const [signal, waitMs] of first === 'SIGINT' ? steps : steps.slice(1)) {
    if (ended()) return
    signalServer(binaries, pid, signal)
    const deadline = performance.now() + waitMs
    while (!ended() && performance.now() < deadline) await delay(20)
  }
}
