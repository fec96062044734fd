import pg from 'pg'
import { rawMembers } from '../../../src/demo/proof/rawJson.ts'
import type { EventLog, RecordedEvent } from '../../../src/eventlog/eventLog.ts'
import { readAllCountMax } from '../../../src/eventlog/limits.ts'

/** The log of record, whole. */
export interface RecordedLog {
  /** In the order the store gives, which is to be that of the positions. */
  readonly events: readonly RecordedEvent[]
  /** What the store says its last position is. */
  readonly head: bigint
  /** Whether the store gives out positions one by one, so that a gap is a loss. PostgreSQL's adapter does. */
  readonly positionsWithoutGap: boolean
}

const pageSize = 20_000

/** From the database itself, with nothing of the service in between; as one snapshot. */
export async function readLogFromDatabase(connectionString: string): Promise<RecordedLog> {
  const client = new pg.Client({ connectionString, application_name: 'history checker' })
  client.on('error', () => undefined)
  await client.connect()
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    const { rows: heads } = await client.query<{ position: string }>('SELECT position::text FROM waybill_log.log_head')
    const events: RecordedEvent[] = []
    for (let after = -1n; ; after = events.at(-1)?.position ?? after) {
      const { rows } = await client.query<Record<keyof RecordedEvent, string>>(
        `SELECT s.name AS stream, e.revision::text, e.position::text, e.id::text, e.type, e.data::text, e.metadata::text
         FROM waybill_log.events e JOIN waybill_log.streams s ON s.number = e.stream_number
         WHERE e.position > $1 ORDER BY e.position LIMIT $2`,
        [String(after), pageSize],
      )
      for (const row of rows) {
        events.push({ ...row, revision: BigInt(row.revision), position: BigInt(row.position) })
      }
      if (rows.length < pageSize) break
    }
    return { events, head: BigInt(heads[0]?.position ?? -1), positionsWithoutGap: true }
  } finally {
    await client.end()
  }
}

/** Through the adapter, for a store that nothing else here reads. */
export async function readLog(log: EventLog): Promise<RecordedLog> {
  const events: RecordedEvent[] = []
  for (;;) {
    const page = await log.readAll({ after: events.at(-1)?.position ?? 0n, maxCount: readAllCountMax })
    events.push(...page)
    if (page.length === 0) break
  }
  return { events, head: await log.head(), positionsWithoutGap: log.positionsPerEvent === undefined }
}

/** From `GET /v1/events`, as an auditor without access to the database would. */
export async function readLogOverHttp(url: string): Promise<RecordedLog> {
  const answer = await fetch(`${url}/v1/events`, { headers: { accept: 'application/x-ndjson' } })
  if (answer.status !== 200) throw new Error(`GET /v1/events: ${answer.status} ${await answer.text()}`)
  const events = (await answer.text()).split('\n').flatMap((line) => (line === '' ? [] : [eventOfLine(line)]))
  const head = positionOfToken(answer.headers.get('waybill-position') ?? '')
  return { events, head, positionsWithoutGap: false }
}

function eventOfLine(line: string): RecordedEvent {
  // Data and metadata as they stand there: the hashes are taken over their bytes.
  const members = rawMembers(line)
  const event = JSON.parse(line) as Record<'stream' | 'position' | 'id' | 'type', string> & { revision: number }
  return {
    stream: event.stream,
    revision: BigInt(event.revision),
    position: positionOfToken(event.position),
    id: event.id,
    type: event.type,
    data: members.get('data') ?? '',
    metadata: members.get('metadata') ?? '',
  }
}

/** A caller's token without the log's id. */
export function positionOfToken(token: string): bigint {
  let position = 0n
  for (const digit of token.slice(22)) position = position * 36n + BigInt(Number.parseInt(digit, 36))
  return position
}
