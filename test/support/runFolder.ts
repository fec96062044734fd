import { readdirSync, readlinkSync, rmSync } from 'node:fs'
import { chmod, mkdtemp, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { processIdentity, processName } from '../../src/postgres/embedded/processIdentity.ts'

/** A folder for what this process runs, which other users can enter. Removes those that processes now dead have left. */
export async function makeRunFolder(prefix: string, parent = tmpdir()): Promise<string> {
  await removeRemains(prefix, parent)
  const folder = await mkdtemp(join(parent, `${prefix}-${process.pid}-${processIdentity(process.pid)}-`))
  await chmod(folder, 0o711)
  return folder
}

/** A run that was killed by -9 could clean nothing up: the next one does. */
async function removeRemains(prefix: string, parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const [, of, pid, identity] = /^(.+)-(\d+)-([A-Za-z0-9.]+)-.{6}$/.exec(name) ?? []
    if (of !== prefix || pid === undefined || processIdentity(Number(pid)) === identity) continue
    try {
      removeRunFolder(join(parent, name))
    } catch {
      // Another user's: theirs to remove.
    }
  }
}

/** Ends the servers that work below a folder, the hard way, and deletes it. Synchronous: an exit waits for nothing else. */
export function removeRunFolder(folder: string): void {
  const nap = new Int32Array(new SharedArrayBuffer(4))
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const servers = serversBelow(folder)
    if (servers.length === 0) break
    if (attempt === 0) servers.forEach(quit)
    Atomics.wait(nap, 0, 0, 20)
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
}

function quit(pid: number): void {
  try {
    process.kill(pid, 'SIGQUIT')
  } catch {
    // It has ended meanwhile.
  }
}

/** A PostgreSQL process works in its cluster's folder. Where there is no /proc, only the run's own server is stopped. */
function serversBelow(folder: string): number[] {
  let processes: string[]
  try {
    processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  } catch {
    return []
  }
  return processes.map(Number).filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`).startsWith(`${folder}/`) && processName(pid) === 'postgres'
    } catch {
      return false
    }
  })
}
