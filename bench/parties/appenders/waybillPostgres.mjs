import pg from 'pg'
import { migrateEventLog } from '../../../dist/eventlog/postgres/migrateEventLog.js'
import { openPostgresEventLog } from '../../../dist/eventlog/postgres/postgresEventLog.js'
import { appendThroughPort } from './waybillLog.mjs'

export async function openAppender({ connectionString }) {
  const { role } = await migrateEventLog(connectionString)
  const appender = appendThroughPort(await openPostgresEventLog({ connectionString, role }))
  const client = new pg.Client({ connectionString })
  await client.connect()
  return {
    ...appender,
    count: async () => Number((await client.query('SELECT count(*) AS n FROM waybill_log.events')).rows[0].n),
    async close() {
      await appender.close()
      await client.end()
    },
  }
}
