// One embedded PostgreSQL for the whole run, with the settings a server in production gets.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startEmbeddedPostgres } from '../../src/postgres/embedded.ts'
import { makeMigratedTemplate } from './migratedTemplate.ts'
import { makeRunFolder, removeRunFolder } from './runFolder.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Of the superuser, on database `waybill`, which tests leave alone: each takes a database of its own (database.ts). */
    postgresConnectionString: string
    /** A folder for temporary files, gone after the run with every PostgreSQL that works in it. Other users can enter it. */
    scratchDirectory: string
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await makeRunFolder('waybill-test')
  // An interrupted run does not come to its teardown, and a signal ends Node without a word unless it is listened to.
  const exit = () => process.exit(1)
  const removeNow = () => removeRunFolder(folder)
  process.on('exit', removeNow)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, exit)

  const scratch = join(folder, 'scratch')
  await mkdir(scratch, { mode: 0o711 })
  const server = await startEmbeddedPostgres({
    dataDir: join(folder, 'server'),
    settings: { max_connections: '300', min_wal_size: '80MB' },
  })
  await makeMigratedTemplate(server.connectionString)
  project.provide('postgresConnectionString', server.connectionString)
  project.provide('scratchDirectory', scratch)
  return async () => {
    await server.stop()
    removeNow()
    process.off('exit', removeNow)
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, exit)
  }
}
