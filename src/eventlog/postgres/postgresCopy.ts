import type pg from 'pg'
import { BoundedClient } from '../../postgres/boundedClient.ts'
import { clientConfig } from '../../postgres/connection.ts'
import { CopyError, type CopySource, type CopyTarget } from '../copy/copyLog.ts'
import type { RecordedEvent } from '../eventLog.ts'
import { migrateEventLog } from './migrateEventLog.ts'
import { openPostgresEventLog, type PostgresLog } from './postgresEventLog.ts'

/** The longest wait for one answer, above that for the head's lock. */
const timeoutMs = 60_000
/** About so many characters go into one import. */
const importCharactersMax = 4_000_000

type LogState = 'open' | 'importing' | 'closed'

interface Head {
  readonly state: LogState
  readonly copiedFrom: string | null
  readonly position: bigint
}

/** @param connectionString of the schema's owner, on a direct connection. */
export async function openPostgresSource(connectionString: string): Promise<CopySource> {
  const owner = await connectOwner(connectionString)
  try {
    if (!(await hasLog(owner))) throw new CopyError('The source database holds no log')
    await migrateEventLog(connectionString)
    if ((await readHead(owner)).state === 'importing') throw new CopyError('The source is a copy that is not finished')
    const log = await openLog(connectionString)
    return new PostgresSource(log, owner)
  } catch (error) {
    await owner.end()
    throw error
  }
}

/** Makes the schema where it is not there. @param connectionString of the schema's owner, on a direct connection. */
export async function openPostgresTarget(connectionString: string): Promise<CopyTarget> {
  await migrateEventLog(connectionString)
  const owner = await connectOwner(connectionString)
  try {
    const log = await openLog(connectionString)
    return new PostgresTarget(log, owner)
  } catch (error) {
    await owner.end()
    throw error
  }
}

class PostgresSource implements CopySource {
  readonly log: PostgresLog
  readonly #owner: pg.Client

  constructor(log: PostgresLog, owner: pg.Client) {
    this.log = log
    this.#owner = owner
  }

  async close(): Promise<void> {
    await this.#owner.query(`UPDATE waybill_log.log_head SET state = 'closed'`)
  }

  async reopen(): Promise<void> {
    await this.#owner.query(`UPDATE waybill_log.log_head SET state = 'open' WHERE state = 'closed'`)
  }

  /** The trigger on the head row sees to it. */
  async checkUnmoved(): Promise<void> {
    const { state } = await readHead(this.#owner)
    if (state !== 'closed') throw new CopyError('The source was opened again while it was being copied')
  }

  async end(): Promise<void> {
    await this.log.close()
    await this.#owner.end()
  }
}

class PostgresTarget implements CopyTarget {
  readonly log: PostgresLog
  readonly #owner: pg.Client

  constructor(log: PostgresLog, owner: pg.Client) {
    this.log = log
    this.#owner = owner
  }

  async begin(sourceLogId: string): Promise<void> {
    const { state, copiedFrom, position } = await readHead(this.#owner)
    if (state === 'importing' && copiedFrom === sourceLogId) return
    if (state === 'importing') throw new CopyError(`The target is an unfinished copy of another log, ${copiedFrom}`)
    if (state === 'closed' || position !== 0n) {
      throw new CopyError(`The target is not empty: it holds ${position} events. Give an empty database`)
    }
    await this.#owner.query(
      `UPDATE waybill_log.log_head SET state = 'importing', copied_from = $1 WHERE state = 'open' AND position = 0`,
      [sourceLogId],
    )
  }

  async last(): Promise<RecordedEvent | null> {
    const { position } = await readHead(this.#owner)
    if (position === 0n) return null
    const [event] = await this.log.readAll({ after: position - 1n, maxCount: 1 })
    return event ?? null
  }

  async add(events: readonly RecordedEvent[]): Promise<void> {
    let { position } = await readHead(this.#owner)
    for (const part of parts(events)) {
      const { rows } = await this.#owner.query<[string]>({
        name: 'waybill_import',
        text: 'SELECT waybill_log.import_events($1, $2, $3, $4, $5, $6, $7)::text',
        values: [position, ...columnsOf(part)],
        rowMode: 'array',
      })
      position = BigInt(rows[0]?.[0] ?? 0)
    }
  }

  async finish(): Promise<void> {
    await this.#owner.query(`UPDATE waybill_log.log_head SET state = 'open' WHERE state = 'importing'`)
  }

  async end(): Promise<void> {
    await this.log.close()
    await this.#owner.end()
  }
}

async function connectOwner(connectionString: string): Promise<pg.Client> {
  const client = new BoundedClient(
    clientConfig({
      connectionString,
      applicationName: 'waybill copy-log',
      statementTimeoutMs: timeoutMs,
      lockTimeoutMs: timeoutMs,
      idleInTransactionTimeoutMs: timeoutMs,
    }),
  )
  // A lost connection also rejects the query that was under way.
  client.on('error', () => undefined)
  await client.connect()
  return client
}

function openLog(connectionString: string): Promise<PostgresLog> {
  return openPostgresEventLog({ connectionString, role: null, whateverState: true })
}

async function hasLog(owner: pg.Client): Promise<boolean> {
  const { rows } = await owner.query<{ found: boolean }>(
    `SELECT to_regclass('waybill_log.log_head') IS NOT NULL AS found`,
  )
  return rows[0]?.found === true
}

async function readHead(owner: pg.Client): Promise<Head> {
  const { rows } = await owner.query<[LogState, string | null, string]>({
    text: 'SELECT state, copied_from::text, position::text FROM waybill_log.log_head',
    rowMode: 'array',
  })
  const [row] = rows
  if (row === undefined) throw new CopyError('The database has a log without a head row')
  const [state, copiedFrom, position] = row
  return { state, copiedFrom, position: BigInt(position) }
}

function* parts(events: readonly RecordedEvent[]): Generator<readonly RecordedEvent[]> {
  let part: RecordedEvent[] = []
  let characters = 0
  for (const event of events) {
    part.push(event)
    characters += event.data.length + event.metadata.length
    if (characters < importCharactersMax) continue
    yield part
    part = []
    characters = 0
  }
  if (part.length > 0) yield part
}

function columnsOf(events: readonly RecordedEvent[]): unknown[] {
  return [
    events.map(({ stream }) => stream),
    events.map(({ revision }) => revision),
    events.map(({ id }) => id),
    events.map(({ type }) => type),
    events.map(({ data }) => data),
    events.map(({ metadata }) => metadata),
  ]
}
