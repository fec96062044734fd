import { migrateAccess } from './access/openAccess.ts'
import { databaseUrlOf } from './config/storeUrls.ts'
import type { Config } from './config.ts'
import type { EventLogLogger } from './eventlog/eventLog.ts'
import { migrateEventLog } from './eventlog/postgres/migrateEventLog.ts'
import { startEmbeddedPostgres } from './postgres/embedded.ts'
import { checkServingLogin, ServingLoginError } from './postgres/servingLogin.ts'
import { migrateReadModel } from './projections/projections.ts'
import { migrateSnapshots } from './snapshots/postgresSnapshots.ts'

export interface ServiceDatabase {
  /** Of the login that serves. Holds a password, as the next: never log it. */
  readonly connectionString: string
  /** Of the schemas' owner: for the start alone. The same as above where the configuration names no other. */
  readonly ownerUrl: string
  /** Where the data is, for a person. */
  readonly storage: string
}

export interface OpenDatabaseOptions {
  /** Told, in sentences, what takes time. */
  readonly progress: ((message: string) => void) | undefined
  /** Given how to close what was started. */
  readonly closers: (() => Promise<void>)[]
  /** Told when the embedded server has ended, also by its own doing. */
  readonly ended: (error: Error) => void
}

/** The configuration's database, or an embedded server that is started for it. */
export async function openDatabase(
  config: Config,
  { progress, closers, ended }: OpenDatabaseOptions,
): Promise<ServiceDatabase> {
  const { databaseUrl, migrationDatabaseUrl } = config
  if (databaseUrl !== null) {
    return {
      connectionString: databaseUrl,
      ownerUrl: migrationDatabaseUrl ?? databaseUrl,
      storage: withoutPassword(databaseUrl),
    }
  }
  const server = await startEmbeddedPostgres({
    dataDir: config.dataDir,
    ...(progress === undefined ? {} : { log: progress }),
  })
  closers.push(() => server.stop())
  void server.ended.then(() => ended(new Error('The embedded PostgreSQL has ended')))
  return {
    connectionString: server.servingConnectionString,
    ownerUrl: server.connectionString,
    storage: server.dataDir,
  }
}

/**
 * Brings all schemas up to date, as their owner, whose connections are closed then.
 *
 * @returns the role that the sessions of the serving login take on; null: none, they run as that login
 */
export async function migrateDatabase(
  { connectionString, ownerUrl }: ServiceDatabase,
  logger: Pick<EventLogLogger, 'warn'>,
): Promise<string | null> {
  const { role, warning } = await migrateEventLog(ownerUrl)
  if (warning !== null) logger.warn({}, warning)
  await migrateReadModel(ownerUrl)
  await migrateAccess(ownerUrl)
  await migrateSnapshots(ownerUrl)
  if (role === null) {
    if (connectionString === ownerUrl) return null
    throw new ServingLoginError(`The user of DATABASE_URL cannot serve without the role waybill_service. ${warning}`)
  }
  const { login, powers } = await checkServingLogin(connectionString, ownerUrl)
  if (powers.length > 0) {
    logger.warn(
      { login, powers },
      `The service's sessions run as ${role}, which its login ${login} can lay off at any time: it ${powers.join(', ')}. ` +
        'Let it serve with a login that owns nothing: docs/operations.md, "Roles and privileges".',
    )
  }
  return role
}

function withoutPassword(databaseUrl: string): string {
  const url = databaseUrlOf(databaseUrl)
  if (url === null) return 'PostgreSQL'
  return `PostgreSQL at ${url.host}, database ${url.pathname.slice(1) || 'postgres'}`
}
