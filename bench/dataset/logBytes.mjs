/** What the log's tables and indexes take on disk, an event. @param client of the database */
export async function logBytes(client) {
  const { rows: relations } = await client.query(
    `SELECT c.relname AS name, c.relkind = 'i' AS is_index, pg_relation_size(c.oid)::float8 AS bytes,
            CASE WHEN c.relkind = 'r' THEN pg_table_size(c.oid) - pg_relation_size(c.oid) ELSE 0 END::float8 AS beside
     FROM pg_class c WHERE c.relnamespace = 'waybill_log'::regnamespace AND c.relkind IN ('r', 'i')
     ORDER BY pg_relation_size(c.oid) DESC`,
  )
  const { rows: counted } = await client.query('SELECT position::float8 AS events FROM waybill_log.log_head')
  const events = counted[0].events
  // Of many, a part: one page in so many.
  const share = Math.min(100, 2e7 / events)
  const { rows: sampled } = await client.query(
    `SELECT avg(octet_length(data::text) + octet_length(metadata::text))::float8 AS bytes
     FROM waybill_log.events TABLESAMPLE SYSTEM (${share})`,
  )
  const payloadBytes = sampled[0].bytes
  const total = relations.reduce((sum, { bytes, beside }) => sum + bytes + beside, 0)
  const rows = relations
    .filter(({ bytes }) => bytes > events / 100)
    .flatMap(({ name, is_index, bytes, beside }) => [
      [is_index ? `  index ${name}` : name, (bytes / events).toFixed(1)],
      ...(beside > events / 100 ? [[`  its TOAST, free space and visibility maps`, (beside / events).toFixed(1)]] : []),
    ])
  const table = [
    ['log on disk', 'bytes an event'],
    ...rows,
    ['in all', (total / events).toFixed(1)],
    ['of it data and metadata', payloadBytes.toFixed(1)],
  ]
  return { bytesPerEvent: total / events, payloadBytes, table }
}
