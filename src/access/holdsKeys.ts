import { BoundedClient } from '../postgres/boundedClient.ts'
import { clientConfig } from '../postgres/connection.ts'

/** Whether a database holds a key that is in force. Makes nothing: asked before its schemas are made or brought up to date. */
export async function holdsKeys(connectionString: string): Promise<boolean> {
  const client = new BoundedClient(clientConfig({ connectionString, applicationName: 'waybill start' }))
  client.on('error', () => undefined)
  await client.connect()
  try {
    const { rows } = await client.query<{ made: boolean }>(
      "SELECT to_regclass('waybill_access.keys') IS NOT NULL AS made",
    )
    if (rows[0]?.made !== true) return false
    const { rowCount } = await client.query('SELECT FROM waybill_access.keys WHERE revoked_at IS NULL LIMIT 1')
    return rowCount === 1
  } finally {
    await client.end()
  }
}
