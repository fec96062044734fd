import type pg from 'pg'
import { BoundedClient } from './boundedClient.ts'
import { sqlState } from './serviceRole.ts'

/** The oldest major version of PostgreSQL that works (scripts/testPostgres.mjs). 13 has no client_connection_check_interval. */
export const postgresMajorMin = 14

/** The server cannot be used; the message says why, for a person. */
export class UnsuitableServerError extends Error {
  override readonly name = 'UnsuitableServerError'
}

/** A pooler between us and the server: session locks and LISTEN would mean nothing. */
export class IndirectConnectionError extends Error {
  override readonly name = 'IndirectConnectionError'

  constructor() {
    super(
      'Waybill needs a direct connection to PostgreSQL, and this one goes through a pooler: session locks and LISTEN would ' +
        'mean nothing there. Give the address of the server itself (docs/operations.md).',
    )
  }
}

const UNDEFINED_OBJECT = '42704'
const INVALID_PARAMETER_VALUE = '22023'
const PROTOCOL_VIOLATION = '08P01'

/**
 * Connects a client that was made by `clientConfig`, and makes sure that what it has reached is a PostgreSQL that works,
 * without a pooler in between. To be called before anything is made in a database.
 *
 * @throws {UnsuitableServerError}
 * @throws {IndirectConnectionError}
 */
export async function connectDirectly(client: BoundedClient, connectionString: string): Promise<void> {
  try {
    await client.connect()
  } catch (error) {
    throw (await explanation(error, connectionString)) ?? error
  }
  const { rows } = await client.query<{ pid: number; number: number; version: string }>(
    `SELECT pg_backend_pid() AS pid, current_setting('server_version_num')::int AS number,
            current_setting('server_version') AS version`,
  )
  const [server] = rows
  const { processID } = client as pg.Client & { readonly processID?: number | null }
  let refusal: Error | null = null
  if (server !== undefined && server.number < postgresMajorMin * 10_000) refusal = tooOld(server.version)
  else if (typeof processID === 'number' && processID !== server?.pid) refusal = new IndirectConnectionError()
  if (refusal === null) return
  await client.end()
  throw refusal
}

/** What the refusal of a connection says about the server; null when that is nothing of ours. */
async function explanation(error: unknown, connectionString: string): Promise<Error | null> {
  const message = error instanceof Error ? error.message : ''
  switch (sqlState(error)) {
    case UNDEFINED_OBJECT: {
      // An old server does not know all that a session of ours sets, and ends it before saying how old it is.
      const { number, version } = await askVersion(connectionString).catch(() => ({ number: null, version: '' }))
      return number !== null && number < postgresMajorMin * 10_000 ? tooOld(version) : null
    }
    case INVALID_PARAMETER_VALUE:
      if (!message.includes('client_connection_check_interval')) return null
      return new UnsuitableServerError(
        'The PostgreSQL server does not notice when a client vanishes (client_connection_check_interval): its operating ' +
          'system has no means for it. Use a server on Linux, macOS or BSD (docs/operations.md).',
      )
    case PROTOCOL_VIOLATION:
      return message.includes('startup parameter') ? new IndirectConnectionError() : null
    default:
      return null
  }
}

function tooOld(version: string): UnsuitableServerError {
  return new UnsuitableServerError(
    `The database server is PostgreSQL ${version}; Waybill needs ${postgresMajorMin} or newer (docs/operations.md).`,
  )
}

/** Sets nothing: whatever its version, the server takes the session. */
async function askVersion(connectionString: string): Promise<{ number: number; version: string }> {
  const client = new BoundedClient({ connectionString, connectionTimeoutMillis: 5_000, query_timeout: 5_000 })
  client.on('error', () => undefined)
  await client.connect()
  try {
    const { rows } = await client.query<{ number: number; version: string }>(
      `SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS version`,
    )
    const [row] = rows
    if (row === undefined) throw new Error('The server did not say its version')
    return row
  } finally {
    await client.end()
  }
}
