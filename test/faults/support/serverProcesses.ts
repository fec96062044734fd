import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The postmaster's id, as the cluster's own file says it; null when none runs. */
export function postmasterOf(clusterDirectory: string): number | null {
  try {
    const pid = Number(readFileSync(join(clusterDirectory, 'postmaster.pid'), 'latin1').split('\n')[0])
    return Number.isInteger(pid) && pid > 0 && isAlive(pid) ? pid : null
  } catch {
    return null
  }
}

/** The processes that serve clients' connections. */
export function backendsOf(postmaster: number): number[] {
  return childrenOf(postmaster).filter((pid) => /127\.0\.0\.1\(\d+\)/.test(titleOf(pid)))
}

/** All processes of a server but the first. */
export function childrenOf(postmaster: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === postmaster)
}

/** False: there was nothing to be killed any more. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch {
    return false
  }
}

/** Whether it is there, and a PostgreSQL. */
export function isAlive(pid: number): boolean {
  return titleOf(pid).includes('postgres')
}

function parentOf(pid: number): number | null {
  try {
    // pid (name) state ppid: the name may hold anything, so from behind its bracket.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return null
  }
}

function titleOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
  } catch {
    return ''
  }
}
