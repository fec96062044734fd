// One embedded PostgreSQL for the whole run, with the settings a server in production gets.
import { rmSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { isAlive, processIdentity } from '../../src/postgres/embedded/processIdentity.ts'
import { startEmbeddedPostgres } from '../../src/postgres/embedded.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Of the superuser, on database `waybill`, which tests leave alone: each takes a database of its own (database.ts). */
    postgresConnectionString: string
  }
}

const PREFIX = 'waybill-test-'

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await removeRemains()
  const dataDir = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-${processIdentity(process.pid)}-`))
  const server = await startEmbeddedPostgres({ dataDir, settings: { max_connections: '200', min_wal_size: '80MB' } })
  const removeNow = () => {
    killAndWait(server.pid)
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 10 })
  }
  // An interrupted run does not come to its teardown; Node exits at SIGTERM without telling anybody unless listened to.
  const exit = () => process.exit(1)
  process.on('exit', removeNow)
  process.on('SIGTERM', exit)
  process.on('SIGHUP', exit)
  project.provide('postgresConnectionString', server.connectionString)
  return async () => {
    await server.stop()
    await rm(dataDir, { recursive: true, force: true })
    process.off('exit', removeNow)
    process.off('SIGTERM', exit)
    process.off('SIGHUP', exit)
  }
}

/** Synchronously, for an exit waits for nothing else. The data is thrown away, so the server may go the hard way. */
function killAndWait(pid: number): void {
  const nap = new Int32Array(new SharedArrayBuffer(4))
  for (let attempt = 0; attempt < 100 && isAlive(pid); attempt += 1) {
    if (attempt === 0) process.kill(pid, 'SIGQUIT')
    Atomics.wait(nap, 0, 0, 20)
  }
}

/** A run that was killed by -9 could do nothing: the next one takes its server and its folder away. */
async function removeRemains(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const [, pid, identity] = /^waybill-test-(\d+)-([A-Za-z0-9.]+)-.{6}$/.exec(name) ?? []
    if (pid === undefined || processIdentity(Number(pid)) === identity) continue
    const dataDir = join(tmpdir(), name)
    try {
      // Starting there stops what was left behind.
      const server = await startEmbeddedPostgres({ dataDir })
      await server.stop()
    } catch {
      // Not even a cluster yet, or another run is at it.
    }
    await rm(dataDir, { recursive: true, force: true, maxRetries: 10 })
  }
}
