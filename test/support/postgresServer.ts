// One embedded PostgreSQL for the whole run, with the settings a server in production gets.
import { readdirSync, readlinkSync, rmSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { processIdentity, processName } from '../../src/postgres/embedded/processIdentity.ts'
import { startEmbeddedPostgres } from '../../src/postgres/embedded.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Of the superuser, on database `waybill`, which tests leave alone: each takes a database of its own (database.ts). */
    postgresConnectionString: string
    /** A folder for temporary files, gone after the run with every PostgreSQL that works in it. Other users can enter it. */
    scratchDirectory: string
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await removeRemains()
  const folder = await mkdtemp(join(tmpdir(), `waybill-test-${process.pid}-${processIdentity(process.pid)}-`))
  // An interrupted run does not come to its teardown, and a signal ends Node without a word unless it is listened to.
  const exit = () => process.exit(1)
  const removeNow = () => remove(folder)
  process.on('exit', removeNow)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, exit)

  await chmod(folder, 0o711)
  const scratch = join(folder, 'scratch')
  await mkdir(scratch, { mode: 0o711 })
  const server = await startEmbeddedPostgres({
    dataDir: join(folder, 'server'),
    settings: { max_connections: '200', min_wal_size: '80MB' },
  })
  project.provide('postgresConnectionString', server.connectionString)
  project.provide('scratchDirectory', scratch)
  return async () => {
    await server.stop()
    removeNow()
    process.off('exit', removeNow)
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, exit)
  }
}

/** A run that was killed by -9 could clean nothing up: the next one does. */
async function removeRemains(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const [, pid, identity] = /^waybill-test-(\d+)-([A-Za-z0-9.]+)-.{6}$/.exec(name) ?? []
    if (pid === undefined || processIdentity(Number(pid)) === identity) continue
    try {
      remove(join(tmpdir(), name))
    } catch {
      // Another user's: theirs to remove.
    }
  }
}

/** Ends the servers that work below a folder, the hard way, and deletes it. Synchronous: an exit waits for nothing else. */
function remove(folder: string): void {
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
