import type { Config } from './config.ts'
import { LogNotOpenError, LogUnavailableError } from './eventlog/eventLog.ts'
import { ConnectionStringError } from './eventlog/eventstoredb/connectionStringError.ts'
import { DurabilityOffError } from './eventlog/postgres/identity.ts'
import { IndirectConnectionError, UnsuitableServerError } from './postgres/connectDirectly.ts'
import { EmbeddedPostgresError } from './postgres/embedded/errors.ts'
import { MigrationError } from './postgres/migrate.ts'
import { ServingLoginError } from './postgres/servingLogin.ts'
import { PackageMissingError } from './runtime/optionalPackage.ts'

/** One line for a person about why the service did not start, or null when that was not foreseen. */
export function startupError(error: unknown, config: Config): string | null {
  if (
    error instanceof EmbeddedPostgresError ||
    error instanceof MigrationError ||
    error instanceof LogNotOpenError ||
    error instanceof DurabilityOffError ||
    error instanceof IndirectConnectionError ||
    error instanceof UnsuitableServerError ||
    error instanceof ServingLoginError ||
    error instanceof PackageMissingError
  ) {
    return error.message
  }
  if (error instanceof ConnectionStringError) {
    return 'EVENTSTORE_URL is no connection string that EventStoreDB knows; docs/eventstoredb.md shows some.'
  }
  if (error instanceof LogUnavailableError && config.eventStoreUrl !== null) {
    return `EventStoreDB of EVENTSTORE_URL cannot be used. ${error.message}.`
  }
  switch (errorCode(error)) {
    case 'EADDRINUSE':
      return `Port ${config.port} of ${config.host} is in use. Stop what listens there, or set WAYBILL_PORT.`
    case 'EACCES':
      return `Port ${config.port} of ${config.host} may not be used by this user. Set WAYBILL_PORT.`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return errorSyscall(error) === 'listen' || config.databaseUrl === null
        ? `${config.host} is no address of this machine. Set WAYBILL_HOST.`
        : `The database server of DATABASE_URL was not found.`
    case 'ECONNREFUSED':
    case 'ETIMEDOUT':
      return 'The database server of DATABASE_URL does not answer.'
    case '28P01':
    case '28000':
      return 'The database server refuses the user or password of DATABASE_URL.'
    case '3D000':
      return 'The database of DATABASE_URL does not exist.'
    case '42501':
      return (
        "The user of DATABASE_URL lacks a right in its database. One that owns nothing needs the owner's URL as well, at least " +
        'for the first start and for upgrades (WAYBILL_MIGRATION_DATABASE_URL). Otherwise it must be the owner, or hold CREATE ' +
        'on the database and own what Waybill made there (docs/operations.md).'
      )
    default:
      return null
  }
}

function errorCode(error: unknown): string | undefined {
  if (error instanceof AggregateError) return errorCode(error.errors[0])
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

function errorSyscall(error: unknown): unknown {
  return error instanceof Error && 'syscall' in error ? error.syscall : undefined
}
