// One embedded PostgreSQL for the whole run, with the settings a server in production gets.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startEmbeddedPostgres } from '../../src/postgres/embedded.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Of the superuser, on database `waybill`, which tests leave alone: each takes a database of its own (database.ts). */
    postgresConnectionString: string
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = await mkdtemp(join(tmpdir(), 'waybill-test-'))
  const server = await startEmbeddedPostgres({ dataDir, settings: { max_connections: '200' } })
  project.provide('postgresConnectionString', server.connectionString)
  return async () => {
    await server.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}
