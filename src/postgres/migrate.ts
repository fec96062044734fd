import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import type pg from 'pg'
import { BoundedClient } from './boundedClient.ts'
import { connectDirectly } from './connectDirectly.ts'
import { clientConfig } from './connection.ts'
import { ensureServiceRole, SERVICE_ROLE, type ServiceRole, sqlState } from './serviceRole.ts'

export type MigratedModule = 'eventlog' | 'projections' | 'access' | 'snapshots'

export interface MigrateOptions {
  readonly connectionString: string
  readonly module: MigratedModule
  /** Folder of the module's `NNNN_name.sql` files; its URL ends in a slash. */
  readonly directory: URL
  /** SQL file that grants to the service's role all that it may do in the module's schema. */
  readonly grants: URL
  /** Longest wait for another migrator of this database to finish. Default 120,000. */
  readonly lockTimeoutMs?: number
}

export interface MigrateResult extends ServiceRole {
  /** Names of the files applied by this call, in order; empty when the schema was up to date. */
  readonly applied: readonly string[]
}

/** The database or the files are not what the ledger says; nothing was changed. */
export class MigrationError extends Error {
  override readonly name: string = 'MigrationError'
}

/** A migration that was applied reads differently now. Migrations never change: write a new one. */
export class ChangedMigrationError extends MigrationError {
  override readonly name = 'ChangedMigrationError'
}

/** The database was migrated by a newer Waybill than this one, which must not write to it. */
export class NewerSchemaError extends MigrationError {
  override readonly name = 'NewerSchemaError'
}

interface Migration {
  readonly number: number
  readonly name: string
  readonly sql: string
  readonly checksum: string
}

interface LedgerRow {
  number: number
  name: string
  checksum: string
}

const LOCK_NOT_AVAILABLE = '55P03'
const INSUFFICIENT_PRIVILEGE = '42501'

/** What tells whether the service's role has been granted anything in a module: its right to use this schema. */
const schemaOf: Record<MigratedModule, string> = {
  eventlog: 'waybill_log',
  projections: 'waybill_read',
  access: 'waybill_access',
  snapshots: 'waybill_snapshots',
}

/** Any constant: all migrators of one database queue here, whichever module they migrate. */
const MIGRATION_LOCK = 7_726_100_518n

/** A change of a table waits this long for its users; longer, and everybody behind it would wait as well. */
const TABLE_LOCK_TIMEOUT = '10s'

/** `service_role`: whether the service's role has been granted what it needs of what the migration made. */
const BOOTSTRAP = `
  CREATE SCHEMA IF NOT EXISTS waybill;
  CREATE TABLE waybill.migrations (
    room text NOT NULL,
    number integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    service_role boolean NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT migrations_pkey PRIMARY KEY (room, number)
  );
`

/**
 * Brings a module's schema up to date: applies, in order, the migrations the ledger (`waybill.migrations`) does not have, each
 * in a transaction of its own that writes its ledger row first. Forward only. Safe to call from many processes at once: each
 * migration runs once. What fails leaves nothing of itself behind.
 *
 * Then the service's role is granted what it may do, where that has not been done: after new migrations, when an administrator
 * made the role later than the schema, and after a restore on a server that did not have it.
 *
 * The connection must be a direct one (a session lock is held), of the schema's owner.
 *
 * @throws {ChangedMigrationError} an applied file has another content
 * @throws {NewerSchemaError} the ledger holds migrations beyond the newest file
 * @throws {MigrationError} a migration failed, or another migrator did not finish in time
 * @throws {UnsuitableServerError | IndirectConnectionError} it is no PostgreSQL that works, or it is behind a pooler
 */
export async function migrate(options: MigrateOptions): Promise<MigrateResult> {
  const { module } = options
  const migrations = await readMigrations(options.directory)
  const client = new BoundedClient(
    clientConfig({
      connectionString: options.connectionString,
      applicationName: 'waybill migrate',
      statementTimeoutMs: 0,
      lockTimeoutMs: options.lockTimeoutMs ?? 120_000,
      idleInTransactionTimeoutMs: 120_000,
    }),
  )
  // A lost connection also rejects the query that was under way.
  client.on('error', () => undefined)
  await connectDirectly(client, options.connectionString)
  try {
    await takeLock(client)
    const ledger = await readLedger(client, module)
    compareWithLedger(module, migrations, ledger)
    const service = await ensureServiceRole(client)
    const applied: string[] = []
    for (const migration of migrations.slice(ledger.length)) {
      await apply(client, module, migration)
      applied.push(migration.name)
    }
    if (service.role !== null) await grant(client, module, options.grants)
    return { applied, ...service }
  } finally {
    await client.end()
  }
}

async function takeLock(client: pg.Client): Promise<void> {
  try {
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK])
  } catch (error) {
    if (sqlState(error) !== LOCK_NOT_AVAILABLE) throw error
    throw new MigrationError('Another Waybill has been migrating this database for too long; see pg_stat_activity.', {
      cause: error,
    })
  }
}

async function readLedger(client: pg.Client, module: MigratedModule): Promise<LedgerRow[]> {
  // Asked first: making a schema takes a right on the database that its user may have lost since.
  const { rows: found } = await client.query<{ ledger: string | null }>(
    `SELECT to_regclass('waybill.migrations')::text AS ledger`,
  )
  if (found[0]?.ledger === null) await client.query(BOOTSTRAP)
  const { rows } = await client.query<LedgerRow>(
    'SELECT number, name, checksum FROM waybill.migrations WHERE room = $1 ORDER BY number',
    [module],
  )
  return rows
}

async function apply(client: pg.Client, module: MigratedModule, migration: Migration): Promise<void> {
  await client.query('BEGIN')
  try {
    await client.query(`SET LOCAL lock_timeout = '${TABLE_LOCK_TIMEOUT}'`)
    // First: should the lock ever not hold (a pooler in between), the second of two migrators waits here and then fails.
    await client.query(
      'INSERT INTO waybill.migrations (room, number, name, checksum, service_role) VALUES ($1, $2, $3, $4, false)',
      [module, migration.number, migration.name, migration.checksum],
    )
    await client.query(migration.sql)
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined)
    throw new MigrationError(
      `Migration ${migration.name} of ${module} failed and was rolled back: ${messageOf(error)}`,
      {
        cause: error,
      },
    )
  }
}

/** In one transaction with what the ledger says of it. */
async function grant(client: pg.Client, module: MigratedModule, grants: URL): Promise<void> {
  const { rows } = await client.query<{ complete: boolean }>(
    `SELECT coalesce(has_schema_privilege($1::name, to_regnamespace($2), 'USAGE'), true)
       AND NOT EXISTS (SELECT FROM waybill.migrations WHERE room = $3 AND NOT service_role) AS complete`,
    [SERVICE_ROLE, schemaOf[module], module],
  )
  if (rows[0]?.complete === true) return
  const sql = await readFile(grants, 'utf8')
  await client.query('BEGIN')
  try {
    await client.query(sql)
    await client.query('UPDATE waybill.migrations SET service_role = true WHERE room = $1 AND NOT service_role', [
      module,
    ])
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined)
    throw new MigrationError(`The grants of ${module} to ${SERVICE_ROLE} failed: ${messageOf(error)}`, { cause: error })
  }
}

function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  if (sqlState(error) !== INSUFFICIENT_PRIVILEGE) return message
  return `${message}. The schemas are changed by their owner: set WAYBILL_MIGRATION_DATABASE_URL as well (docs/operations.md)`
}

async function readMigrations(directory: URL): Promise<Migration[]> {
  const files = (await readdir(directory)).filter((file) => file.endsWith('.sql')).sort()
  const migrations: Migration[] = []
  for (const [index, file] of files.entries()) {
    const number = /^(\d{4})_[a-z0-9_]+\.sql$/.exec(file)?.[1]
    if (number === undefined) throw new MigrationError(`${file} is not named NNNN_name.sql`)
    if (Number(number) !== index + 1) throw new MigrationError(`${file}: migrations count from 0001 without a gap`)
    // Line endings are the checkout's affair, not a change of the migration.
    const sql = (await readFile(new URL(file, directory), 'utf8')).replaceAll('\r\n', '\n')
    const checksum = createHash('sha256').update(sql).digest('hex')
    migrations.push({ number: Number(number), name: file.slice(0, -'.sql'.length), sql, checksum })
  }
  return migrations
}

function compareWithLedger(
  module: MigratedModule,
  migrations: readonly Migration[],
  ledger: readonly LedgerRow[],
): void {
  const newest = ledger.at(-1)
  if (newest !== undefined && newest.number > migrations.length) {
    throw new NewerSchemaError(
      `The database's ${module} schema is at migration ${newest.name}; this Waybill knows ${migrations.length} migrations. ` +
        'A newer Waybill has migrated it: run that one.',
    )
  }
  for (const [index, row] of ledger.entries()) {
    const migration = migrations[index]
    if (migration === undefined || migration.number !== row.number) {
      throw new MigrationError(`The ledger of ${module} has a gap before migration ${row.name}.`)
    }
    if (migration.checksum !== row.checksum) {
      throw new ChangedMigrationError(
        `Migration ${migration.name} of ${module} was applied as ${row.name} with another content. ` +
          'An applied migration never changes: restore the file and write a new migration.',
      )
    }
  }
}
