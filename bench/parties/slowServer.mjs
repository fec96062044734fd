// A PostgreSQL server whose disk is slow to confirm: the same server, with slowFsync.c preloaded.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { childEnvironment } from '../../dist/postgres/embedded/childEnvironment.js'
import { startEmbeddedPostgres } from '../../dist/postgres/embedded.js'
import { median } from '../report/spread.mjs'

/** Why there can be none, or null. */
export function whyNoSlowServer() {
  if (process.platform !== 'linux') return 'LD_PRELOAD is for Linux'
  return spawnSync('cc', ['--version']).error === undefined ? null : 'there is no C compiler (cc)'
}

export async function startSlowServer(scratch) {
  const library = join(scratch, 'slowFsync.so')
  const source = fileURLToPath(new URL('../slowFsync.c', import.meta.url))
  const { status, stderr } = spawnSync('cc', ['-shared', '-fPIC', '-O2', '-o', library, source, '-ldl'])
  if (status !== 0) throw new Error(`slowFsync.c was not compiled: ${stderr}`)
  const dataDir = join(scratch, 'slowPostgres')
  // Made at full speed: its first files are synced one by one.
  await (await startEmbeddedPostgres({ dataDir })).stop()
  childEnvironment.LD_PRELOAD = library
  try {
    const server = await startEmbeddedPostgres({ dataDir })
    await refuseUnlessSlow(server)
    return server
  } finally {
    delete childEnvironment.LD_PRELOAD
  }
}

/** Milliseconds of a commit on the server, one after the other: what its disk costs. */
export async function commitMs(server) {
  const client = new pg.Client({ connectionString: server.connectionString })
  await client.connect()
  try {
    await client.query('CREATE TABLE IF NOT EXISTS commits (n integer)')
    const times = []
    for (let n = 0; n < 50; n += 1) {
      const startedMs = performance.now()
      await client.query('INSERT INTO commits VALUES (1)')
      times.push(performance.now() - startedMs)
    }
    return median(times)
  } finally {
    await client.end()
  }
}

async function refuseUnlessSlow(server) {
  const ms = await commitMs(server)
  if (ms >= 2) return
  await server.stop()
  throw new Error(`slowFsync.so was preloaded, and a commit takes ${ms.toFixed(2)} ms all the same`)
}
