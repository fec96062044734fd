import type pg from 'pg'
import { BoundedClient } from '../../postgres/boundedClient.ts'
import { connectDirectly } from '../../postgres/connectDirectly.ts'
import { clientConfig } from '../../postgres/connection.ts'

/** The longest wait for one answer, above that for the head's lock. */
const timeoutMs = 60_000

/** A session of the schema's owner, for what the service itself may not do. */
export async function connectOwner(connectionString: string, applicationName: string): Promise<pg.Client> {
  const client = new BoundedClient(
    clientConfig({
      connectionString,
      applicationName,
      statementTimeoutMs: timeoutMs,
      lockTimeoutMs: timeoutMs,
      idleInTransactionTimeoutMs: timeoutMs,
    }),
  )
  // A lost connection also rejects the query that was under way.
  client.on('error', () => undefined)
  await connectDirectly(client, connectionString)
  return client
}

export async function hasLog(owner: pg.Client): Promise<boolean> {
  const { rows } = await owner.query<{ found: boolean }>(
    `SELECT to_regclass('waybill_log.log_head') IS NOT NULL AS found`,
  )
  return rows[0]?.found === true
}
