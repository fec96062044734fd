// Emmett's append, as it comes: one transaction an append, from a pool.
import { getPostgreSQLEventStore } from '@event-driven-io/emmett-postgresql'
import pg from 'pg'

export async function openAppender({ connectionString, poolMax }) {
  const pool = new pg.Pool({ connectionString, max: poolMax })
  const store = getPostgreSQLEventStore(connectionString, { connectionOptions: { pooled: true, pool } })
  await store.schema.migrate()
  return {
    async append(stream, revision, { type, data, metadata }) {
      const expectedStreamVersion = revision === null ? 'STREAM_DOES_NOT_EXIST' : revision + 1n
      const { nextExpectedStreamVersion } = await store.appendToStream(stream, [{ type, data, metadata }], {
        expectedStreamVersion,
      })
      // Its first event is number 1.
      return nextExpectedStreamVersion - 1n
    },
    count: async () => Number((await pool.query('SELECT count(*) AS n FROM emt_messages')).rows[0].n),
    async close() {
      await store.close()
      await pool.end()
    },
  }
}
