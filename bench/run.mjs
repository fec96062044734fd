// What all figures need: a server, a scratch folder, payloads, and somebody who samples memory.
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../dist/postgres/embedded.js'
import { mixedBodies, reportBodies } from './load/payloads.mjs'
import { dropDatabases, durableSettings } from './parties/databases.mjs'
import { createMemoryWatch } from './report/memory.mjs'

export async function createBench(options) {
  const scratch = await mkdtemp(join(tmpdir(), 'waybill-bench-'))
  // PostgreSQL may run as another user, who has to pass through.
  await chmod(scratch, 0o755)
  const bodies = await reportBodies()
  const bodiesFile = join(scratch, 'bodies')
  await writeFile(bodiesFile, bodies.join('\n'))
  const memory = createMemoryWatch()
  const common = { apiKey: options.withKey ? randomBytes(32).toString('hex') : null, memory }
  let server = null
  let settings = null

  const bench = {
    ...options,
    scratch,
    bodies,
    bodiesFile,
    mixed: await mixedBodies(),
    common,
    /** The PostgreSQL server of all parties of all figures, but those of a server of their own. */
    server() {
      server ??= startServer()
      return server
    },
  }

  async function startServer() {
    const started = await startEmbeddedPostgres({ dataDir: join(scratch, 'postgres') })
    settings = await durableSettings(started)
    return started
  }

  return {
    /** Never throws: what broke a figure is in its result. */
    async measure(figure) {
      const say = (text) => process.stderr.write(`  ${figure.name}: ${text}\n`)
      const sizes = options.sizes[figure.name]
      const startedMs = performance.now()
      process.stderr.write(`\n${figure.name}: ${figure.title} ${JSON.stringify(sizes)}\n`)
      memory.takeMaxMb()
      let result
      try {
        result = { error: null, ...(await figure.run({ ...bench, sizes, say })) }
      } catch (error) {
        process.stderr.write(`${error.stack ?? error}\n`)
        result = { values: {}, ...error.result, error: error.message }
      }
      // In a smoke run others may be at work on the server.
      const running = await server?.catch(() => null)
      if (running != null && !options.smoke) await dropDatabases(running)
      const tookS = (performance.now() - startedMs) / 1_000
      return { ...result, sizes, memoryMb: memory.takeMaxMb(), tookS }
    },
    /** Of the PostgreSQL server of all parties; null when none was started. */
    postgresSettings: () => settings,
    async close() {
      memory.close()
      const running = await server?.catch(() => null)
      await running?.stop()
      await rm(scratch, { recursive: true, force: true })
    },
  }
}
