import { IndirectConnectionError } from '../../postgres/connectDirectly.ts'
import { AnotherLogError, type EventLogLogger, LogUnavailableError, type RecordedEvent } from '../eventLog.ts'

/** Which history a session looks at, and how safe it is there. */
export interface Identity {
  readonly logId: string
  readonly position: bigint
  /** Of the database cluster: differs in a copy made by dump and restore, is the same in a file-level copy. */
  readonly systemIdentifier: string
  /** Grows with each promotion of a standby and each recovery to a point in time. */
  readonly timeline: string
}

/** The server says that it does not keep what it has confirmed through a crash. */
export class DurabilityOffError extends Error {
  override readonly name = 'DurabilityOffError'
}

// The timeline is read from the WAL position, not from pg_control: after a promotion the latter lags a checkpoint behind.
const identityQuery = `
  SELECT h.log_id::text, h.position::text, s.system_identifier::text,
    CASE WHEN pg_is_in_recovery() THEN '' ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END,
    current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),
    pg_backend_pid()::text
  FROM waybill_log.log_head h CROSS JOIN pg_control_system() s`

const eventColumns = 'position::text, data::text, metadata::text FROM waybill_log.events'
const lastEventQuery = `SELECT ${eventColumns} ORDER BY events.position DESC LIMIT 1`
const eventQuery = `SELECT ${eventColumns} WHERE events.position = $1::bigint`

/** The part of a recorded event that tells it from every other. */
export type Witness = Pick<RecordedEvent, 'position' | 'data' | 'metadata'>

/** The part of a `pg` client that it takes. */
export interface Askable {
  /** As the start of the session said it. */
  readonly processID?: number | null
  query(config: { text: string; rowMode: 'array'; values?: unknown[] }): Promise<{ rows: string[][] }>
}

/**
 * Guards against another history (correctness.md row 7): every new connection is compared with the first one.
 *
 * A new timeline is a fail-over: the history goes on if it holds the last event that was seen here, at its position and byte
 * for byte. Positions are given out in the order of commits, so that it then holds all before it, which is all that any cache
 * rests on. Where only a position was seen (a head, a checkpoint), the head must reach it.
 */
export class IdentityGuard {
  readonly #allowUnsafeDurability: boolean
  readonly #logger: EventLogLogger
  readonly #onAnotherLog: (error: AnotherLogError) => void
  #first: Identity | null = null
  /** The last position acknowledged or read here: a head below it is another history. */
  #highest = 0n
  /** The last event whose content was acknowledged or read here. */
  #witness: Witness | null = null
  #broken: AnotherLogError | null = null

  constructor(options: {
    allowUnsafeDurability: boolean
    logger: EventLogLogger
    onAnotherLog: (error: AnotherLogError) => void
  }) {
    this.#allowUnsafeDurability = options.allowUnsafeDurability
    this.#logger = options.logger
    this.#onAnotherLog = options.onAnotherLog
  }

  get logId(): string {
    if (this.#first === null) throw new Error('No session has been checked yet')
    return this.#first.logId
  }

  saw(position: bigint): void {
    if (position > this.#highest) this.#highest = position
  }

  sawEvent(event: Witness): void {
    this.saw(event.position)
    if (event.position > (this.#witness?.position ?? 0n)) {
      const { position, data, metadata } = event
      this.#witness = { position, data, metadata }
    }
  }

  /** Throws once the log has been found to be another one: for good, since every cache built on it is void. */
  check(): void {
    if (this.#broken !== null) throw this.#broken
  }

  get isBroken(): boolean {
    return this.#broken !== null
  }

  breakWith(message: string): AnotherLogError {
    if (this.#broken === null) {
      this.#broken = new AnotherLogError(message)
      this.#logger.error({ logId: this.#first?.logId, highest: String(this.#highest) }, message)
      this.#onAnotherLog(this.#broken)
    }
    return this.#broken
  }

  /** To be called once a connection, before its first use. */
  async admit(client: Askable): Promise<void> {
    this.check()
    // Taken before the query: an append may be acknowledged while it is under way.
    const seen = this.#highest
    const { rows } = await client.query({ text: identityQuery, rowMode: 'array' })
    const [row] = rows
    if (row === undefined) throw this.breakWith('The log has no head row')
    const [logId, position, systemIdentifier, timeline, fsync, fullPageWrites, synchronousCommit, pid] = row
    if (logId === undefined || position === undefined || systemIdentifier === undefined || timeline === undefined) {
      throw new Error('The identity query answered with too few columns')
    }
    if (timeline === '') throw new LogUnavailableError('The server is a standby: it takes no appends')
    if (typeof client.processID === 'number' && String(client.processID) !== pid) {
      throw new IndirectConnectionError()
    }
    this.#checkDurability({ fsync, full_page_writes: fullPageWrites, synchronous_commit: synchronousCommit })
    await this.#compare({ logId, position: BigInt(position), systemIdentifier, timeline }, seen, client)
  }

  #checkDurability(settings: Readonly<Record<string, string | undefined>>): void {
    const off = Object.keys(settings).filter((name) => settings[name] === 'off')
    if (off.length === 0) return
    const message = `PostgreSQL runs with ${off.join(', ')} off: what it confirms may be lost in a crash`
    if (!this.#allowUnsafeDurability) throw new DurabilityOffError(message)
    this.#logger.warn({ off }, `${message.toUpperCase()}. Going on because it was explicitly allowed.`)
  }

  async #compare(now: Identity, seen: bigint, client: Askable): Promise<void> {
    const first = this.#first
    if (first === null) {
      this.#first = now
      const { rows } = await client.query({ text: lastEventQuery, rowMode: 'array' })
      for (const row of rows) this.sawEvent(witness(row))
    } else if (now.logId !== first.logId) {
      throw this.breakWith(`The database holds the log ${now.logId}, not ${first.logId} as before`)
    } else if (now.systemIdentifier !== first.systemIdentifier) {
      throw this.breakWith('The database is another cluster than before')
    } else if (now.timeline < first.timeline) {
      throw this.breakWith(`The server is on timeline ${now.timeline}, not ${first.timeline} as before`)
    }
    if (now.position < seen) {
      throw this.breakWith(`The log ends at ${now.position}, but ${seen} has been seen: events are lost`)
    }
    if (first !== null && now.timeline !== first.timeline) await this.#followTo(now, client)
    this.saw(now.position)
  }

  async #followTo(now: Identity, client: Askable): Promise<void> {
    const known = this.#witness
    if (known !== null) {
      const { rows } = await client.query({ text: eventQuery, rowMode: 'array', values: [String(known.position)] })
      const found = rows.map(witness)[0]
      if (found?.data !== known.data || found.metadata !== known.metadata) {
        const was = this.#first?.timeline
        throw this.breakWith(
          `The server is on timeline ${now.timeline}, not ${was} as before, and holds another event at ${known.position}: ` +
            'events are lost',
        )
      }
    }
    if (this.#first !== null && this.#first.timeline < now.timeline) {
      this.#logger.warn(
        { timeline: now.timeline, before: this.#first.timeline, position: String(known?.position ?? 0n) },
        'The database has failed over; all that was seen before is there',
      )
      this.#first = now
    }
  }
}

function witness([position = '0', data = '', metadata = '']: readonly string[]): Witness {
  return { position: BigInt(position), data, metadata }
}
