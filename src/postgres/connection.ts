import pg from 'pg'
import { BoundedClient } from './boundedClient.ts'

/** How a session is set up. Every wait has a bound; 0 turns a server-side one off. */
export interface ConnectionSettings {
  readonly connectionString: string
  /** Shown in pg_stat_activity. Default `waybill`. */
  readonly applicationName?: string
  /** The session runs as this role (`-c role=`); undefined or null: as the user of the connection string. */
  readonly role?: string | null | undefined
  /** Longest wait for a connection (for a pool: for a free one). Default 5,000. */
  readonly connectTimeoutMs?: number
  /** The server ends a statement after this. Default 30,000. */
  readonly statementTimeoutMs?: number
  /** The server gives up waiting for a lock after this. Default 10,000. */
  readonly lockTimeoutMs?: number
  /** The server ends a session that keeps a transaction open without using it. Default 30,000. */
  readonly idleInTransactionTimeoutMs?: number
  /**
   * How often the server looks, while a statement runs, whether its client is still there. Default 1,000: what a vanished
   * client left running (an append waiting for a lock) is gone a second later.
   */
  readonly connectionCheckIntervalMs?: number
  /** The client destroys a connection whose answer takes longer than this. Default: none (the server's bounds hold). */
  readonly queryTimeoutMs?: number
  /** `pg`'s pipeline mode: queries are sent without waiting for the answers of those before. Default false. */
  readonly pipeline?: boolean
}

export interface PoolSettings extends ConnectionSettings {
  /** Most connections at once. */
  readonly max: number
  /** An unused connection is closed after this. Default 30,000. */
  readonly idleTimeoutMs?: number
  /** Told of an error on an idle connection; the pool has dropped it already. Default: nothing is done. */
  readonly onIdleError?: (error: Error) => void
  /** Asked of each new connection before its first use; one that it rejects is closed, and whoever waits gets the error. */
  readonly admit?: ((client: pg.ClientBase) => Promise<void>) | undefined
}

const INT8 = 20
const INT8_ARRAY = 1016

/** No wait of a connection longer than that. The server's bound comes first; the client's is for a server that went silent. */
export function boundedBy(
  timeoutMs: number,
): Required<Pick<ConnectionSettings, 'connectTimeoutMs' | 'statementTimeoutMs' | 'queryTimeoutMs'>> {
  return { connectTimeoutMs: timeoutMs, statementTimeoutMs: timeoutMs, queryTimeoutMs: timeoutMs + 1_000 }
}

/** int8 arrives as text and would lose digits as a JavaScript number: it becomes a bigint. For these clients only. */
const bigintTypes: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format: 'text' | 'binary' = 'text') => {
    if (format === 'binary') return pg.types.getTypeParser(oid, 'binary')
    if (oid === INT8) return BigInt
    if (oid === INT8_ARRAY) return parseInt8Array
    return pg.types.getTypeParser(oid, 'text')
  }) as typeof pg.types.getTypeParser,
}

/** Of one dimension: `{1,NULL,3}`. */
function parseInt8Array(text: string): (bigint | null)[] {
  if (text === '{}') return []
  return text
    .slice(1, -1)
    .split(',')
    .map((member) => (member === 'NULL' ? null : BigInt(member)))
}

/**
 * Configuration of one client: `new BoundedClient(clientConfig({ connectionString }))`. Give the client an `error` listener:
 * without one, a connection lost while idle ends the process.
 *
 * The bounds are sent as `options` in the start-up packet, so they hold from the first statement on. `options` of the
 * connection string are kept and come last: they win.
 */
export function clientConfig(settings: ConnectionSettings): pg.ClientConfig {
  const { connectionString, options } = takeOptions(settings.connectionString)
  const bounds: [string, string | number][] = [
    ['statement_timeout', settings.statementTimeoutMs ?? 30_000],
    ['lock_timeout', settings.lockTimeoutMs ?? 10_000],
    ['idle_in_transaction_session_timeout', settings.idleInTransactionTimeoutMs ?? 30_000],
    ['client_connection_check_interval', settings.connectionCheckIntervalMs ?? 1_000],
    // A machine that is gone says no goodbye: without these the server keeps its sessions, and their locks, for hours.
    ['tcp_keepalives_idle', 5],
    ['tcp_keepalives_interval', 2],
    ['tcp_keepalives_count', 3],
  ]
  if (settings.role !== undefined && settings.role !== null) bounds.push(['role', settings.role])
  const set = bounds.map(([name, value]) => `-c ${name}=${escapeOption(String(value))}`)
  return {
    connectionString,
    application_name: settings.applicationName ?? 'waybill',
    connectionTimeoutMillis: settings.connectTimeoutMs ?? 5_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types: bigintTypes,
    options: [...set, options].filter((part) => part !== '').join(' '),
    ...(settings.queryTimeoutMs === undefined ? {} : { query_timeout: settings.queryTimeoutMs }),
    ...(settings.pipeline === undefined ? {} : { pipeline: settings.pipeline }),
  }
}

/**
 * A pool of such clients. int8 arrives as bigint. A lost connection, idle or taken out of the pool, never ends the process:
 * an idle one is dropped, and a query on one taken out rejects.
 */
export function createPool(settings: PoolSettings): pg.Pool {
  const { admit } = settings
  const pool = new pg.Pool({
    ...clientConfig(settings),
    Client: BoundedClient,
    max: settings.max,
    idleTimeoutMillis: settings.idleTimeoutMs ?? 30_000,
    ...(admit === undefined
      ? {}
      : {
          verify: (client: pg.PoolClient, done: (error?: Error) => void) => void admit(client).then(() => done(), done),
        }),
  })
  pool.on('error', (error) => settings.onIdleError?.(error))
  // The pool listens to idle clients alone; an 'error' nobody listens to ends the process.
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

/** `pg` lets `options` of the connection string replace those of the configuration; they are merged here instead. */
function takeOptions(connectionString: string): { connectionString: string; options: string } {
  if (!URL.canParse(connectionString)) return { connectionString, options: '' }
  const url = new URL(connectionString)
  const options = url.searchParams.get('options') ?? ''
  url.searchParams.delete('options')
  return { connectionString: url.toString(), options }
}

/** The server splits `options` at white space; a backslash takes the next character as it is. */
function escapeOption(value: string): string {
  return value.replace(/[\\\s]/g, (character) => `\\${character}`)
}
