import type pg from 'pg'
import { type Config, ConfigError } from './config.ts'
import type { AnotherLogError, EventLog, EventLogLogger } from './eventlog/eventLog.ts'
import { openPostgresEventLog } from './eventlog/postgres/postgresEventLog.ts'
import { importWith } from './runtime/optionalPackage.ts'

export interface LogDatabase {
  /** Of PostgreSQL, where the log is, unless it is elsewhere. */
  readonly connectionString: string
  readonly role: string | null
  readonly onAnotherLog: (error: AnotherLogError) => void
  readonly logger: EventLogLogger
}

export interface LogOpened {
  readonly log: EventLog & { saw(position: bigint): void }
  /** For other connections to the log's database. */
  readonly admit?: (client: pg.ClientBase) => Promise<void>
  /** Where the log is, for a person; null: in PostgreSQL. */
  readonly place: string | null
}

/**
 * The adapter's client takes most of a second to load, and 30 MB, which nobody else should pay. Nor does everybody install it.
 *
 * @throws {PackageMissingError}
 */
const importEventStoreLog = () =>
  importWith('@eventstore/db-client', 'EVENTSTORE_URL', () => import('./eventlog/eventstoredb/eventStoreLog.ts'))

/**
 * Loads what `openLog` will need, so that a package that is not installed is found before anything is made on disk.
 *
 * @throws {PackageMissingError}
 */
export async function loadLogClient({ eventStoreUrl }: Config): Promise<void> {
  if (eventStoreUrl !== null) await importEventStoreLog()
}

/** Opens the log where the configuration says it is. */
export async function openLog(config: Config, database: LogDatabase): Promise<LogOpened> {
  const { eventStoreUrl, allowUnsafeDurability } = config
  if (eventStoreUrl === null) {
    const log = await openPostgresEventLog({ ...database, allowUnsafeDurability })
    return { log, admit: (client) => log.admit(client), place: null }
  }
  const { onAnotherLog, logger } = database
  const { openEventStoreLog } = await importEventStoreLog()
  const log = await openEventStoreLog({ connectionString: eventStoreUrl, onAnotherLog, logger })
  try {
    if ((await log.head()) === 0n) await refuseSecondLog(database)
  } catch (error) {
    await log.close()
    throw error
  }
  return { log, place: `EventStoreDB at ${hostsOf(eventStoreUrl)}` }
}

/** Throws ConfigError: whoever set EVENTSTORE_URL would find all operations gone, and the read model dropped. */
async function refuseSecondLog(database: LogDatabase): Promise<void> {
  const inPostgres = await openPostgresEventLog({ ...database, allowUnsafeDurability: true, whateverState: true })
  const head = await inPostgres.head()
  await inPostgres.close()
  if (head === 0n) return
  throw new ConfigError(
    `EVENTSTORE_URL: the log there is empty, and the one in PostgreSQL has ${head} events. Unset it to go on with those, ` +
      'copy them (waybill copy-log), or give it a PostgreSQL database of its own.',
  )
}

function hostsOf(eventStoreUrl: string): string {
  return eventStoreUrl.replace(/^[^:]*:\/\/(?:[^@/]*@)?/, '').split(/[/?]/, 1)[0] ?? ''
}
