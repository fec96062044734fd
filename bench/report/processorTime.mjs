// Processor time of a process, from /proc: what explains the rates where all share the same cores.
import { readdir, readFile } from 'node:fs/promises'

/** Linux counts in ticks of 10 ms on every platform Node runs on. */
const tickUs = 10_000

/** User and system time of one process in microseconds; null where there is no /proc. */
export async function processorUs(pid) {
  const stat = await readStat(pid)
  return stat === null ? null : stat.ownUs
}

/** The same of a process, its children alive and those it has reaped: a PostgreSQL server with its backends. */
export async function processorUsOfTree(pid) {
  const root = await readStat(pid)
  if (root === null) return null
  let sum = root.ownUs + root.reapedUs
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const stat = await readStat(Number(entry))
    if (stat?.parent === pid) sum += stat.ownUs
  }
  return sum
}

async function readStat(pid) {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may hold spaces: fields are counted after it.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const ticks = (index) => Number(fields[index]) * tickUs
    return { parent: Number(fields[1]), ownUs: ticks(11) + ticks(12), reapedUs: ticks(13) + ticks(14) }
  } catch {
    return null
  }
}
