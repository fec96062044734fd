import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename } from 'node:path'
import { childEnvironment } from './childEnvironment.ts'

/** Whether a process of this id is there; one of another user counts. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/**
 * A short text that tells this process from any other that has or had its id: when it started. Null when there is no
 * such process. Letters, digits and dots only.
 */
export function processIdentity(pid: number): string | null {
  if (!isAlive(pid)) return null
  const stat = readProc(pid)
  if (stat !== null) {
    // The command name, in parentheses, may hold anything: fields are counted from behind it. State is 0, start time 19.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z' || fields[0] === 'X') return null
    return `${bootId()}.${fields[19] ?? ''}`
  }
  const { status, stdout } = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], {
    encoding: 'utf8',
    env: childEnvironment,
  })
  if (status === 0 && stdout.trim() !== '') return stdout.trim().replaceAll(/[^A-Za-z0-9]+/g, '.')
  // Neither /proc nor ps (Windows): the id alone.
  return 'alive'
}

function readProc(pid: number): string | null {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return null
  }
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim().replaceAll('-', '').slice(0, 12)
  } catch {
    return 'boot'
  }
}

/**
 * Where process ids mean what they mean here: a digest of the machine's name and, on Linux, of the process namespace, which
 * each container has of its own. The first namespace of a machine has the same number after every boot.
 */
export function processSpace(): string {
  let namespace = ''
  try {
    namespace = readlinkSync('/proc/self/ns/pid')
  } catch {
    // Not Linux.
  }
  return createHash('sha256').update(`${hostname()}\n${namespace}`).digest('hex').slice(0, 12)
}

/** The name of the program a process runs, at most 15 characters on Linux; null when it cannot be told. */
export function processName(pid: number): string | null {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').trim()
  } catch {
    const { status, stdout } = spawnSync('ps', ['-o', 'comm=', '-p', String(pid)], {
      encoding: 'utf8',
      env: childEnvironment,
    })
    if (status !== 0 || stdout.trim() === '') return null
    return basename(stdout.trim())
  }
}
