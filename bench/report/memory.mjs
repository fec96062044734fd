// Resident memory of processes, sampled: the most that was seen.
import { readFile } from 'node:fs/promises'

const intervalMs = 100
const pageBytes = 4_096

/** 0 where there is no /proc, or no such process. */
export async function residentBytes(pid) {
  const text = await readFile(`/proc/${pid}/statm`, 'latin1').catch(() => '')
  return Number(text.split(' ')[1] ?? 0) * pageBytes
}

export function createMemoryWatch() {
  const pids = new Set()
  let maxBytes = 0

  const sample = async (pid) => {
    maxBytes = Math.max(maxBytes, await residentBytes(pid))
  }
  const timer = setInterval(() => {
    for (const pid of pids) void sample(pid)
  }, intervalMs)
  timer.unref()

  return {
    watch: (pid) => pids.add(pid),
    unwatch: (pid) => pids.delete(pid),
    /** The most MB (1,000,000 bytes) any of them had since the last call; null when there was none. */
    takeMaxMb() {
      const mb = maxBytes === 0 ? null : maxBytes / 1e6
      maxBytes = 0
      return mb
    },
    close: () => clearInterval(timer),
  }
}
