import type pg from 'pg'
import { createPool } from '../../postgres/connection.ts'
import { AnotherLogError, type EventLogLogger, LogUnavailableError, type RecordedEvent } from '../eventLog.ts'
import type { IdentityGuard } from './identity.ts'
import { isUnavailability, serverError } from './sqlState.ts'
import type { FoundEvents } from './unknownOutcome.ts'

export interface ReaderOptions {
  readonly connectionString: string
  readonly role: string | null
  readonly connectTimeoutMs: number
  readonly statementTimeoutMs: number
  readonly connectionsMax: number
  readonly guard: IdentityGuard
  readonly logger: EventLogLogger
}

/**
 * For questions that are asked again until they are answered, and for what may be lost: a connection that has fallen silent
 * must not take all the time there is.
 */
const shortMs = 1_000

const columns = 's.name, e.revision, e.position, e.id, e.type, e.data, e.metadata'

// Every read is a walk along an index from a known place. The planner is told so, because a plan made while the log was
// young and its statistics empty would otherwise be a scan or a hash join, and stay.
const plannerSettings = `
  SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_sort = on;
  SET plan_cache_mode = force_generic_plan; SET jit = off; SET default_transaction_read_only = on`

/** Everything as text: json keeps its bytes, and no bigint passes through a double. */
const asText: pg.CustomTypesConfig = { getTypeParser: () => (value: string) => value }

export interface StreamRead {
  readonly stream: string
  readonly fromRevision: bigint
  readonly maxCount: number
}

/** The log's queries, on a pool whose every connection has been compared with the first one (correctness.md row 7). */
export class Reader {
  readonly #pool: pg.Pool
  readonly #guard: IdentityGuard
  readonly #admitted = new WeakSet<pg.ClientBase>()

  constructor(options: ReaderOptions) {
    this.#guard = options.guard
    this.#pool = createPool({
      connectionString: options.connectionString,
      applicationName: 'waybill read',
      role: options.role,
      max: options.connectionsMax,
      connectTimeoutMs: options.connectTimeoutMs,
      statementTimeoutMs: options.statementTimeoutMs,
      lockTimeoutMs: options.statementTimeoutMs,
      queryTimeoutMs: options.statementTimeoutMs + 1_000,
      onIdleError: (error) =>
        options.logger.warn({ reason: error.message }, 'Lost an idle connection to the event log'),
    })
  }

  async readAll(after: bigint, maxCount: number): Promise<RecordedEvent[]> {
    const rows = await this.query(
      'waybill_read_all',
      `SELECT ${columns} FROM waybill_log.events e JOIN waybill_log.streams s ON s.number = e.stream_number
       WHERE e.position > $1::bigint ORDER BY e.position LIMIT $2::integer`,
      [String(after), String(maxCount)],
    )
    const events = rows.map(recordedEvent)
    const last = events.at(-1)
    if (last !== undefined) this.#guard.sawEvent(last)
    return events
  }

  /** Many streams in one round trip: the events of each read, in the order of the reads. */
  async readStreams(direction: 'forwards' | 'backwards', reads: readonly StreamRead[]): Promise<RecordedEvent[][]> {
    const [compare, order] = direction === 'forwards' ? ['>=', 'ASC'] : ['<=', 'DESC']
    const rows = await this.query(
      `waybill_read_streams_${direction}`,
      `SELECT ${columns}, r.ord
       FROM unnest($1::text[], $2::bigint[], $3::integer[]) WITH ORDINALITY AS r (stream, start, count, ord)
       JOIN waybill_log.streams s ON s.name = r.stream
       CROSS JOIN LATERAL (
         SELECT * FROM waybill_log.events
         WHERE stream_number = s.number AND revision ${compare} r.start
         ORDER BY revision ${order} LIMIT r.count
       ) e`,
      [
        reads.map((read) => read.stream),
        reads.map((read) => String(read.fromRevision)),
        reads.map((read) => read.maxCount),
      ],
    )
    const results: RecordedEvent[][] = reads.map(() => [])
    for (const row of rows) {
      const event = recordedEvent(row)
      this.#guard.sawEvent(event)
      results[Number(row[7]) - 1]?.push(event)
    }
    const sign = direction === 'forwards' ? 1 : -1
    // Each lateral read comes in order; SQL does not promise that the join around it keeps it.
    for (const events of results) events.sort((a, b) => sign * Number(a.revision - b.revision))
    return results
  }

  /** One read that ends where its events would come to more bytes: what is beyond is not even read from the table. */
  async readWithin(
    { stream, fromRevision, maxCount }: StreamRead,
    direction: 'forwards' | 'backwards',
    bytesMax: number,
  ): Promise<RecordedEvent[]> {
    const [compare, order, step] = direction === 'forwards' ? ['>=', 'ASC', '+ 1'] : ['<=', 'DESC', '- 1']
    const size = 'octet_length(e.data::text)::bigint + octet_length(e.metadata::text)'
    const rows = await this.query(
      `waybill_read_within_${direction}`,
      `WITH RECURSIVE walk AS (
         (SELECT s.name, e.*, ${size} AS bytes, 1 AS count
          FROM waybill_log.streams s JOIN waybill_log.events e ON e.stream_number = s.number
          WHERE s.name = $1::text AND e.revision ${compare} $2::bigint
          ORDER BY e.revision ${order} LIMIT 1)
         UNION ALL
         SELECT w.name, e.*, w.bytes + ${size}, w.count + 1
         FROM walk w JOIN waybill_log.events e ON e.stream_number = w.stream_number AND e.revision = w.revision ${step}
         WHERE w.count < $3::integer AND w.bytes <= $4::bigint
       )
       SELECT name, revision, position, id, type, data, metadata FROM walk WHERE bytes <= $4::bigint ORDER BY count`,
      [stream, String(fromRevision), String(maxCount), String(bytesMax)],
    )
    const events = rows.map(recordedEvent)
    for (const event of events) this.#guard.sawEvent(event)
    return events
  }

  async readEvent(stream: string, id: string): Promise<RecordedEvent | null> {
    const rows = await this.query(
      'waybill_read_event',
      `SELECT ${columns} FROM waybill_log.events e JOIN waybill_log.streams s ON s.number = e.stream_number
       WHERE e.id = $1::uuid AND s.name = $2::text`,
      [id, stream],
    )
    const [row] = rows
    return row === undefined ? null : recordedEvent(row)
  }

  async head(): Promise<bigint> {
    const rows = await this.query('waybill_head', 'SELECT position FROM waybill_log.log_head', [])
    const position = BigInt(rows[0]?.[0] ?? 0)
    this.#guard.saw(position)
    return position
  }

  /** migrations/0005_copying.sql */
  async state(): Promise<'open' | 'importing' | 'closed'> {
    const rows = await this.query('waybill_state', 'SELECT state FROM waybill_log.log_head', [])
    const state = rows[0]?.[0]
    return state === 'open' || state === 'importing' ? state : 'closed'
  }

  async findEvents(ids: readonly string[]): Promise<FoundEvents> {
    const rows = await this.query(
      'waybill_find_events',
      `SELECT id, revision, position, encode(sha256(convert_to(data::text || metadata::text, 'UTF8')), 'hex')
       FROM waybill_log.events WHERE id = ANY($1::uuid[])`,
      [ids],
      shortMs,
    )
    return new Map(
      rows.map(([id = '', revision = '', position = '', digest = '']) => [
        id,
        { revision: BigInt(revision), position: BigInt(position), digest },
      ]),
    )
  }

  /** Whether no session holds this advisory lock. */
  async isLockFree(key: bigint): Promise<boolean> {
    const rows = await this.query(
      'waybill_lock_free',
      'SELECT pg_try_advisory_xact_lock($1::bigint)',
      [String(key)],
      shortMs,
    )
    return rows[0]?.[0] === 't'
  }

  async notify(channel: string, payload: string): Promise<void> {
    await this.query('waybill_notify', 'SELECT pg_notify($1, $2)', [channel, payload], shortMs)
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }

  /** Rows of texts. Throws LogUnavailableError or AnotherLogError; anything else is a bug. */
  async query(name: string, text: string, values: unknown[], timeoutMs?: number): Promise<string[][]> {
    this.#guard.check()
    const client = await this.#connect()
    try {
      const bound = timeoutMs === undefined ? {} : { query_timeout: timeoutMs }
      const result = await client.query<string[]>({ name, text, values, rowMode: 'array', types: asText, ...bound })
      client.release()
      return result.rows
    } catch (error) {
      // Only an error of the server's leaves the client in a known state.
      const known = serverError(error)
      client.release(known === null || known.fatal)
      throw translate(error)
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    let client: pg.PoolClient
    try {
      client = await this.#pool.connect()
    } catch (error) {
      throw translate(error)
    }
    if (this.#admitted.has(client)) return client
    try {
      await this.#guard.admit(client)
      await client.query(plannerSettings)
      this.#admitted.add(client)
      return client
    } catch (error) {
      client.release(true)
      throw translate(error)
    }
  }
}

function recordedEvent(row: readonly string[]): RecordedEvent {
  const [stream = '', revision = '', position = '', id = '', type = '', data = '', metadata = ''] = row
  return { stream, revision: BigInt(revision), position: BigInt(position), id, type, data, metadata }
}

function translate(error: unknown): Error {
  if (error instanceof AnotherLogError || error instanceof LogUnavailableError) return error
  const known = serverError(error)
  if (known === null || known.fatal || isUnavailability(known.code)) {
    const reason = error instanceof Error ? error.message : String(error)
    return new LogUnavailableError(`The event log cannot be read now: ${reason}`, { cause: error })
  }
  return error instanceof Error ? error : new Error(String(error))
}
