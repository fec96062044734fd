import { type MigrateResult, migrate } from '../../postgres/migrate.ts'

/** Brings the log's schema up to date. `connectionString` is that of the schema's owner, on a direct connection. */
export function migrateEventLog(connectionString: string): Promise<MigrateResult> {
  return migrate({
    connectionString,
    module: 'eventlog',
    directory: new URL('./migrations/', import.meta.url),
    grants: new URL('./grants.sql', import.meta.url),
  })
}
