import { BoundedClient } from '../../postgres/boundedClient.ts'
import { clientConfig } from '../../postgres/connection.ts'
import { backOffMs } from '../../runtime/backOff.ts'
import { pause, WakeUp } from '../../runtime/wakeUp.ts'
import type { EventLogLogger } from '../eventLog.ts'
import type { Reader } from './reader.ts'

const channel = 'waybill_log'

export interface NotificationsOptions {
  readonly connectionString: string
  readonly role: string | null
  readonly reader: Pick<Reader, 'notify'>
  readonly logger: EventLogLogger
  readonly connectTimeoutMs: number
  /** Least time between two NOTIFYs of this process. */
  readonly spacingMs: number
}

/**
 * Wakes those who follow the log: at once for this process's appends, by LISTEN and NOTIFY for other nodes'. A
 * notification may be late or lost; whoever waits polls as well.
 *
 * NOTIFY takes a lock at commit that all of the server's notifying transactions share, so it is never part of an append: it
 * follows the commit, one for all batches of the last few milliseconds.
 */
export class Notifications {
  readonly #options: NotificationsOptions
  readonly #closed = new AbortController()
  readonly #wakeUp = new WakeUp()
  /** Of this process's own appends. */
  #appended = 0n
  #told = 0n
  #telling = false
  #listening: Promise<void> | null = null
  /** How often there was reason to think that another process has appended. */
  #othersCount = 0

  constructor(options: NotificationsOptions) {
    this.#options = options
  }

  /** An append of this process was acknowledged. */
  appended(position: bigint): void {
    if (position <= this.#appended) return
    this.#appended = position
    this.#wakeUp.wake()
    if (!this.#telling && !this.#closed.signal.aborted) void this.#tell()
  }

  /** To be taken before looking at the log, and given to `wait` when nothing new was there. */
  get count(): number {
    this.#listening ??= this.#listen()
    return this.#wakeUp.count
  }

  /** The last position that this process is known to have appended. */
  get appendedTo(): bigint {
    return this.#appended
  }

  /** While it is the same, nobody has told of an append by another process. */
  get othersCount(): number {
    return this.#othersCount
  }

  /** Settles when something was appended since `count` was taken, after `timeoutMs`, or when `signal` aborts. */
  wait(count: number, timeoutMs: number, signal: AbortSignal): Promise<void> {
    return this.#wakeUp.wait(signal, timeoutMs, count)
  }

  async close(): Promise<void> {
    this.#closed.abort()
    this.#wakeUp.wake()
    await this.#listening
  }

  async #tell(): Promise<void> {
    this.#telling = true
    while (this.#told < this.#appended && !this.#closed.signal.aborted) {
      this.#told = this.#appended
      // A failure is the reader's to report; other nodes poll.
      await this.#options.reader.notify(channel, String(this.#told)).catch(() => undefined)
      await pause(this.#options.spacingMs, this.#closed.signal)
    }
    this.#telling = false
  }

  #wakeForOthers(): void {
    this.#othersCount += 1
    this.#wakeUp.wake()
  }

  async #listen(): Promise<void> {
    for (let failures = 1; !this.#closed.signal.aborted; failures += 1) {
      const startedMs = performance.now()
      await this.#listenOnce()
      if (performance.now() - startedMs > 10_000) failures = 1
      await pause(backOffMs(failures), this.#closed.signal)
    }
  }

  /** Settles when the connection is lost or this is closed; never rejects. */
  async #listenOnce(): Promise<void> {
    const { connectionString, role, connectTimeoutMs, logger } = this.#options
    const client = new BoundedClient(
      clientConfig({ connectionString, role, connectTimeoutMs, applicationName: 'waybill listen' }),
    )
    const over = new AbortController()
    client.on('error', () => over.abort())
    client.on('end', () => over.abort())
    client.on('notification', ({ payload }) => {
      // Our own come back too. The payload only says whether to look: anyone who may connect can send one.
      if (payload !== String(this.#told)) this.#wakeForOthers()
    })
    try {
      await client.connect()
      await client.query(`LISTEN ${channel}`)
      // What was appended while nobody listened was not told.
      this.#wakeForOthers()
      await new WakeUp().wait(AbortSignal.any([over.signal, this.#closed.signal]))
    } catch (error) {
      logger.warn(
        { reason: error instanceof Error ? error.message : String(error) },
        'Cannot listen for appends; polling',
      )
    }
    await client.end().catch(() => undefined)
  }
}
