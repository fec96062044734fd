import pg from 'pg'
import { eventHash, noHash, withHash, withoutHash } from '../../src/operation/envelope.ts'
import { previousHashOf } from '../../src/operation/verifyStream.ts'

interface Row {
  readonly position: string
  readonly revision: string
  readonly id: string
  readonly type: string
  readonly data: string
  readonly metadata: string
}

/** What somebody does who may write the database itself: no part of the service can. */
export interface Tampering {
  /** On the log's tables, with their triggers off. */
  sql(text: string, values?: readonly unknown[]): Promise<void>
  /** Empties the log: it is another one then. */
  empty(): Promise<void>
  /** A stream's events, by revision. */
  events(stream: string): Promise<readonly Row[]>
  /** Changes an event, and leaves its hash as it was. */
  change(
    stream: string,
    at: number,
    part: 'data' | 'metadata' | 'type' | 'id',
    to: (text: string) => string,
  ): Promise<void>
  /** Makes the hashes of these events anew, as if what they say had been appended. */
  hashAnew(stream: string, from: number, to?: number): Promise<void>
  remove(stream: string, at: number): Promise<void>
  /** Exchanges what two events say, or with `places` where they are in the log. */
  swap(stream: string, one: number, other: number, columns: 'contents' | 'places'): Promise<void>
  end(): Promise<void>
}

export async function tamperingWith(connectionString: string): Promise<Tampering> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  const isStream = 'stream_number = (SELECT number FROM waybill_log.streams WHERE name = $1)'

  async function sql(text: string, values: readonly unknown[] = []): Promise<void> {
    await client.query('ALTER TABLE waybill_log.events DISABLE TRIGGER USER')
    await client.query('ALTER TABLE waybill_log.streams DISABLE TRIGGER USER')
    try {
      const { rowCount } = await client.query(text, [...values])
      if (rowCount === 0) throw new Error('nothing was tampered with')
    } finally {
      await client.query('ALTER TABLE waybill_log.events ENABLE ALWAYS TRIGGER events_refuse_change')
      await client.query('ALTER TABLE waybill_log.streams ENABLE ALWAYS TRIGGER streams_refuse_change')
    }
  }

  async function events(stream: string): Promise<readonly Row[]> {
    const { rows } = await client.query<Row>(
      `SELECT position, revision, id, type, data::text AS data, metadata::text AS metadata
       FROM waybill_log.events WHERE ${isStream} ORDER BY revision`,
      [stream],
    )
    return rows
  }

  async function eventAt(stream: string, at: number): Promise<Row> {
    const row = (await events(stream)).find(({ revision }) => Number(revision) === at)
    if (row === undefined) throw new Error(`${stream} has no revision ${at}`)
    return row
  }

  const write = ({ position, id, type, data, metadata }: Row): Promise<void> =>
    sql(`UPDATE waybill_log.events SET id = $2, type = $3, data = $4, metadata = $5 WHERE position = $1`, [
      position,
      id,
      type,
      data,
      metadata,
    ])

  return {
    sql,
    events,

    async empty() {
      await client.query(
        `UPDATE waybill_log.log_head
         SET log_id = gen_random_uuid(), position = 0, stream_number = 0, writer = 0, written_to = 0`,
      )
      for (const table of ['events', 'streams']) {
        await client.query(`ALTER TABLE waybill_log.${table} DISABLE TRIGGER USER`)
        await client.query(`DELETE FROM waybill_log.${table}`)
        await client.query(`ALTER TABLE waybill_log.${table} ENABLE ALWAYS TRIGGER ${table}_refuse_change`)
      }
    },

    async change(stream, at, part, to) {
      const row = await eventAt(stream, at)
      await write({ ...row, [part]: to(row[part]) })
    },

    async hashAnew(stream, from, to = Number.POSITIVE_INFINITY) {
      const rows = await events(stream)
      let previousHash = from === 0 ? noHash : (withoutHash((await eventAt(stream, from - 1)).metadata)?.hash ?? '')
      for (const row of rows) {
        const at = Number(row.revision)
        if (at < from || at > to) continue
        const { type, data } = row
        const before = previousHashOf(row.metadata) ?? ''
        const metadata = (withoutHash(row.metadata)?.metadata ?? '').replace(before, previousHash)
        const dataBytes = Buffer.byteLength(data)
        const hash = eventHash({ stream, revision: BigInt(at), previousHash, type, data, dataBytes, metadata })
        await write({ ...row, metadata: withHash(metadata, hash) })
        previousHash = hash
      }
    },

    async remove(stream, at) {
      const { position } = await eventAt(stream, at)
      await sql('DELETE FROM waybill_log.events WHERE position = $1', [position])
    },

    async swap(stream, one, other, columns) {
      const [first, second] = [await eventAt(stream, one), await eventAt(stream, other)]
      if (columns === 'contents') {
        // Ids are unique: one of them stands aside meanwhile.
        await write({ ...first, id: '00000000-0000-8000-8000-000000000000' })
        await write({ ...second, ...contentsOf(first) })
        await write({ ...first, ...contentsOf(second) })
        return
      }
      await sql('UPDATE waybill_log.events SET position = -1 WHERE position = $1', [first.position])
      await sql('UPDATE waybill_log.events SET position = $2 WHERE position = $1', [second.position, first.position])
      await sql('UPDATE waybill_log.events SET position = $1 WHERE position = -1', [second.position])
    },

    end: () => client.end(),
  }
}

function contentsOf({ id, type, data, metadata }: Row): Pick<Row, 'id' | 'type' | 'data' | 'metadata'> {
  return { id, type, data, metadata }
}
