import type pg from 'pg'
import { backOffMs } from '../../runtime/backOff.ts'
import { pause } from '../../runtime/wakeUp.ts'
import {
  type AnotherLogError,
  type AppendOutcome,
  type AppendRequest,
  type EventLog,
  type EventLogLogger,
  LogNotOpenError,
  LogUnavailableError,
  type ReadAllOptions,
  type ReadStreamOptions,
  type RecordedEvent,
  type SubscribeOptions,
} from '../eventLog.ts'
import { checkMaxCount, readAllCountMax, readStreamCountMax } from '../limits.ts'
import { appendBatch } from './appendBatch.ts'
import { IdentityGuard } from './identity.ts'
import { Notifications } from './notifications.ts'
import { Reader } from './reader.ts'
import { StreamLoader } from './streamLoader.ts'
import { TailCache } from './tailCache.ts'
import { Writer } from './writer.ts'

export interface PostgresEventLogOptions {
  /** A direct connection, not one through a transaction pooler. The schema must be there (migrateEventLog). */
  readonly connectionString: string
  /** Role the sessions take on; null: that of the connection string. Default `waybill_service`. */
  readonly role?: string | null
  /** Most connections for reads. Two more are for appends and for LISTEN. Default 4. */
  readonly readConnectionsMax?: number
  /** Default 5,000. */
  readonly connectTimeoutMs?: number
  /**
   * Bounds of an append, each below the next: waiting for a lock (default 2,000), the statement (4,000), our own patience
   * with a silent server (5,000).
   */
  readonly lockTimeoutMs?: number
  readonly statementTimeoutMs?: number
  readonly deadlineMs?: number
  /** How long an append waits for a connection that was lost a moment ago, before it says `unavailable`. Default 1,000. */
  readonly patienceMs?: number
  /** Bound of a read. Default 10,000. */
  readonly readTimeoutMs?: number
  /** How often a subscription that has caught up looks by itself for events nobody told it of. Default 500. */
  readonly pollIntervalMs?: number
  /** Serve although fsync, full_page_writes or synchronous_commit is off. Default false. */
  readonly allowUnsafeDurability?: boolean
  /** Open it although it takes no appends, because it has been copied or is being copied. Default false. */
  readonly whateverState?: boolean
  /** Told once, when the database turns out to hold another log (AnotherLogError): nothing will be served any more. */
  readonly onAnotherLog?: (error: AnotherLogError) => void
  readonly logger?: EventLogLogger
}

const silent: EventLogLogger = { info: () => undefined, warn: () => undefined, error: () => undefined }
const lastRevision = 2n ** 63n - 1n

export interface PostgresLog extends EventLog {
  /**
   * Compares another connection to the log's database with the log's own. Rejects with AnotherLogError when it leads to
   * another history; then nothing is served any more, as if one of the log's own had.
   */
  admit(client: pg.ClientBase): Promise<void>
  /** The log was at this position, as somebody else learned from its database: one that ends before is another history. */
  saw(position: bigint): void
}

/**
 * Opens the log in a PostgreSQL database. Throws when the server cannot be reached, is a standby, or turns out not to keep
 * what it confirms (DurabilityOffError), or when the log takes no appends any more (LogNotOpenError).
 */
export async function openPostgresEventLog(options: PostgresEventLogOptions): Promise<PostgresLog> {
  const { connectionString, logger = silent, connectTimeoutMs = 5_000 } = options
  const { lockTimeoutMs = 2_000, statementTimeoutMs = 4_000, deadlineMs = 5_000 } = options
  if (!(lockTimeoutMs < statementTimeoutMs && statementTimeoutMs < deadlineMs)) {
    throw new RangeError('lockTimeoutMs, statementTimeoutMs and deadlineMs must each be below the next')
  }
  const guard = new IdentityGuard({
    allowUnsafeDurability: options.allowUnsafeDurability ?? false,
    logger,
    onAnotherLog: options.onAnotherLog ?? (() => undefined),
  })
  const session = {
    connectionString,
    role: options.role === undefined ? 'waybill_service' : options.role,
    connectTimeoutMs,
    guard,
  }
  const reader = new Reader({
    ...session,
    statementTimeoutMs: options.readTimeoutMs ?? 10_000,
    connectionsMax: options.readConnectionsMax ?? 4,
    logger,
  })
  const notifications = new Notifications({ ...session, reader, logger, spacingMs: 10 })
  const tailCache = new TailCache()
  const writer = new Writer({
    ...session,
    tailCache,
    lockTimeoutMs,
    statementTimeoutMs,
    deadlineMs,
    reader,
    logger,
    patienceMs: options.patienceMs ?? 1_000,
    onAppended: (position) => notifications.appended(position),
  })
  try {
    await writer.open()
    if (options.whateverState !== true) await refuseUnlessOpen(reader)
  } catch (error) {
    await writer.close()
    await reader.close()
    throw error
  }
  const pollIntervalMs = options.pollIntervalMs ?? 500
  return new PostgresEventLog({ guard, reader, writer, tailCache, notifications, pollIntervalMs })
}

async function refuseUnlessOpen(reader: Reader): Promise<void> {
  const state = await reader.state()
  if (state !== 'open') throw new LogNotOpenError(state)
}

interface Parts {
  readonly guard: IdentityGuard
  readonly reader: Reader
  readonly writer: Writer
  readonly tailCache: TailCache
  readonly notifications: Notifications
  readonly pollIntervalMs: number
}

class PostgresEventLog implements PostgresLog {
  readonly #parts: Parts
  readonly #closed = new AbortController()
  readonly #forwards: StreamLoader
  readonly #backwards: StreamLoader

  constructor(parts: Parts) {
    this.#parts = parts
    this.#forwards = new StreamLoader('forwards', (reads) => parts.reader.readStreams('forwards', reads))
    this.#backwards = new StreamLoader('backwards', (reads) => parts.reader.readStreams('backwards', reads))
  }

  get logId(): string {
    return this.#parts.guard.logId
  }

  async append(batch: readonly AppendRequest[]): Promise<readonly AppendOutcome[]> {
    return appendBatch(this.#parts.writer, batch)
  }

  async readStream(stream: string, options: ReadStreamOptions): Promise<readonly RecordedEvent[]> {
    const { direction = 'forwards', fromRevision, maxCount, bytesMax } = options
    checkMaxCount(maxCount, readStreamCountMax)
    this.#checkOpen()
    if (bytesMax !== undefined) {
      const from = fromRevision ?? (direction === 'forwards' ? 0n : lastRevision)
      return this.#parts.reader.readWithin({ stream, fromRevision: from, maxCount }, direction, bytesMax)
    }
    if (direction === 'forwards') return this.#forwards.read({ stream, fromRevision: fromRevision ?? 0n, maxCount })
    return this.#backwards.read({ stream, fromRevision: fromRevision ?? lastRevision, maxCount })
  }

  async readEvent(stream: string, id: string): Promise<RecordedEvent | null> {
    this.#checkOpen()
    return this.#parts.reader.readEvent(stream, id)
  }

  async readAll({ after, maxCount }: ReadAllOptions): Promise<readonly RecordedEvent[]> {
    checkMaxCount(maxCount, readAllCountMax)
    this.#checkOpen()
    return this.#parts.reader.readAll(after, maxCount)
  }

  async *subscribe({ after, maxCount, signal }: SubscribeOptions): AsyncGenerator<readonly RecordedEvent[]> {
    const { guard, tailCache, notifications, pollIntervalMs } = this.#parts
    checkMaxCount(maxCount, readAllCountMax)
    const ended = AbortSignal.any([signal, this.#closed.signal])
    let position = after
    let failures = 0
    /** What was known of other processes' appends when the table was last read; null: it is to be read whatever is known. */
    let lookedAt: number | null = null
    while (!signal.aborted) {
      try {
        const { count, othersCount } = notifications
        const own = guard.isBroken ? null : tailCache.after(position, maxCount)
        // At the end of what this process wrote there is nothing to read until others tell of an append, or nothing was
        // told for a while. An append of this process's own says where it found the head, and so shows what others wrote.
        const isKnownEnd = tailCache.endsAt(position) && position >= notifications.appendedTo
        const isAtEnd = own === null && isKnownEnd && lookedAt === othersCount && !guard.isBroken
        const events = own ?? (isAtEnd ? [] : await this.readAll({ after: position, maxCount }))
        if (own === null && !isAtEnd) lookedAt = othersCount
        failures = 0
        const last = events.at(-1)
        if (last === undefined) {
          await notifications.wait(count, pollIntervalMs, ended)
          if (notifications.count === count) lookedAt = null
          continue
        }
        position = last.position
        if (signal.aborted) return
        yield events
      } catch (error) {
        if (!(error instanceof LogUnavailableError) || this.#closed.signal.aborted) throw error
        failures += 1
        await pause(backOffMs(failures), ended)
      }
    }
  }

  admit(client: pg.ClientBase): Promise<void> {
    return this.#parts.guard.admit(client)
  }

  saw(position: bigint): void {
    this.#parts.guard.saw(position)
  }

  async head(): Promise<bigint> {
    this.#checkOpen()
    return this.#parts.reader.head()
  }

  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return
    this.#closed.abort()
    const { writer, notifications, reader } = this.#parts
    await writer.close()
    await notifications.close()
    await reader.close()
  }

  #checkOpen(): void {
    if (this.#closed.signal.aborted) throw new LogUnavailableError('The log is closed')
  }
}
