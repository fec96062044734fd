import pg from 'pg'
import { clientConfig } from '../../../src/postgres/connection.ts'
import { SERVICE_ROLE } from '../../../src/postgres/serviceRole.ts'
import { migrateReadModel } from '../../../src/projections/projections.ts'
import { createTestDatabase } from '../../support/database.ts'

export interface ReadModelDatabase {
  readonly connectionString: string
  /** The service's role: what tests start runs as it. */
  readonly role: string
  /** As the owner, beside the service. */
  readonly admin: pg.Client
  drop(): Promise<void>
}

export async function createReadModelDatabase(): Promise<ReadModelDatabase> {
  const database = await createTestDatabase()
  await migrateReadModel(database.connectionString)
  const admin = new pg.Client(clientConfig({ connectionString: database.connectionString }))
  admin.on('error', () => undefined)
  await admin.connect()
  await admin.query('SET search_path TO waybill_read')
  return {
    connectionString: database.connectionString,
    role: SERVICE_ROLE,
    admin,
    async drop() {
      await admin.end()
      await database.drop()
    },
  }
}

export interface Rows {
  readonly operations: readonly object[]
  readonly shapes: readonly object[]
  readonly parked: readonly object[]
  readonly pipelines: readonly object[]
}

/** All that the projection wrote, in a fixed order. Shapes without operations are none. */
export async function allRows(admin: pg.Client): Promise<Rows> {
  const rows = async (text: string): Promise<readonly object[]> => (await admin.query(text)).rows
  return {
    operations: await rows('SELECT * FROM operations ORDER BY id'),
    shapes: await rows('SELECT * FROM shapes WHERE operations <> 0 ORDER BY id'),
    parked: await rows('SELECT * FROM parked ORDER BY stream'),
    pipelines: await rows('SELECT * FROM pipelines ORDER BY name, version'),
  }
}
