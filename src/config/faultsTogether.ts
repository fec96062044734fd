import { hasCluster } from '../postgres/embedded/clusterDirectory.ts'
import { listensOnLoopback } from '../runtime/loopback.ts'

/** Settings that are right or wrong together. Undefined: not known. */
export interface SettingsTogether {
  readonly bulkCommandsTotalMax: number | undefined
  readonly queuedCommandsMax: number | undefined
  readonly host: string | undefined
  readonly allowUnauthenticated: boolean
  readonly hasOperatorKey: boolean
  readonly hasMigrationDatabaseUrl: boolean
  /** Of the embedded server; null: another is used. */
  readonly dataDir: string | null
}

/** `toServe`: what would keep a service from serving, as far as it can be known before there is a database. */
export function faultsTogether(settings: SettingsTogether, toServe: boolean): string[] {
  const { bulkCommandsTotalMax, queuedCommandsMax, host, allowUnauthenticated, hasOperatorKey, dataDir } = settings
  const faults: string[] = []
  if (
    bulkCommandsTotalMax !== undefined &&
    queuedCommandsMax !== undefined &&
    bulkCommandsTotalMax >= queuedCommandsMax
  ) {
    faults.push('WAYBILL_BULK_COMMANDS_TOTAL_MAX: must be below WAYBILL_QUEUED_COMMANDS_MAX')
  }
  if (settings.hasMigrationDatabaseUrl && dataDir !== null) {
    faults.push('WAYBILL_MIGRATION_DATABASE_URL: set DATABASE_URL as well, to the login that serves')
  }
  if (!toServe || host === undefined || listensOnLoopback(host) || allowUnauthenticated || hasOperatorKey) return faults
  if (dataDir !== null && !hasCluster(dataDir)) faults.push(keysNeeded(host))
  return faults
}

/** Nobody could use the service, or everybody could. */
export function keysNeeded(host: string): string {
  return (
    `WAYBILL_HOST: ${host} can be reached from other machines, and there is no access key. Set WAYBILL_OPERATOR_KEY, ` +
    'or make a key while it listens on this machine only (docs/access.md), or set WAYBILL_ALLOW_UNAUTHENTICATED=true ' +
    'if everybody may do everything.'
  )
}
