import { randomUUID } from 'node:crypto'
import { pause } from '../../runtime/wakeUp.ts'
import { AnotherLogError, type EventLogLogger, LogUnavailableError } from '../eventLog.ts'
import type { Appends } from './appends.ts'
import { identityStream, type Reads } from './reads.ts'
import { toStored } from './wire.ts'

export interface IdentityOptions {
  readonly reads: Reads
  readonly logger: EventLogLogger
  readonly onAnotherLog: (error: AnotherLogError) => void
  /** How long the end of the log may be missing, as on a node that has just become the leader, before it counts as lost. */
  readonly missingMsMax: number
}

/**
 * Guards against another history (correctness.md row 7). Which log it is says the one event of a stream of its own, created
 * where there is none. Every new connection is compared: the same log, and none that ends before what was seen.
 */
export class Identity {
  readonly #options: IdentityOptions
  #logId: string | null = null
  #highest = 0n
  #missingSince: number | null = null
  #broken: AnotherLogError | null = null
  readonly #closed = new AbortController()
  #isChecking = false

  constructor(options: IdentityOptions) {
    this.#options = options
  }

  get logId(): string {
    if (this.#logId === null) throw new Error('The log has not been opened yet')
    return this.#logId
  }

  /** The last position acknowledged, read or heard of. */
  get highest(): bigint {
    return this.#highest
  }

  get isBroken(): boolean {
    return this.#broken !== null
  }

  /** Throws once the log has been found to be another one: for good, since every cache built on it is void. */
  check(): void {
    if (this.#broken !== null) throw this.#broken
  }

  saw(position: bigint): void {
    if (position > this.#highest) this.#highest = position
  }

  /** Of a position that somebody else remembers: that the log reaches so far is looked up. */
  heardOf(position: bigint): void {
    if (position <= this.#highest) return
    this.saw(position)
    if (this.#isChecking) return
    this.#isChecking = true
    void this.#checkUntilCertain().finally(() => {
      this.#isChecking = false
    })
  }

  /** Reads the identity, or makes the log. */
  async open(appends: Appends): Promise<void> {
    for (let attempt = 0; (await this.#read()) === null; attempt += 1) {
      if (attempt === 5) throw new LogUnavailableError('The log could not be created in EventStoreDB')
      const data = JSON.stringify({ logId: randomUUID() })
      const event = toStored({ id: randomUUID(), type: 'LogCreated', data, metadata: '{}' })
      // Of two nodes one succeeds, and both read what it wrote.
      await appends.append({ stream: identityStream, expected: -1n, events: [event] }, data.length)
    }
    await this.admit()
  }

  /** To be called once a connection. Rejects when this is another log, or when it cannot be told now. */
  async admit(): Promise<void> {
    this.check()
    const logId = await this.#read()
    if (logId === null) throw this.#breakWith('EventStoreDB holds no Waybill log any more')
    this.#logId ??= logId
    if (logId !== this.#logId) {
      throw this.#breakWith(`EventStoreDB holds the log ${logId}, not ${this.#logId} as before`)
    }
    // Taken before it is read: an append may be acknowledged meanwhile.
    const seen = this.#highest
    const head = await this.#options.reads.head()
    if (head >= seen) {
      this.#missingSince = null
      this.saw(head)
      return
    }
    this.#missingSince ??= performance.now()
    if (performance.now() - this.#missingSince > this.#options.missingMsMax) {
      throw this.#breakWith(`The log ends at ${head}, but ${seen} has been seen: events are lost`)
    }
    throw new LogUnavailableError(`The log ends at ${head}, but ${seen} has been seen: waiting for the rest`)
  }

  close(): void {
    this.#closed.abort()
  }

  async #checkUntilCertain(): Promise<void> {
    while (!this.#closed.signal.aborted && this.#broken === null) {
      try {
        return await this.admit()
      } catch {
        await pause(250, this.#closed.signal)
      }
    }
  }

  async #read(): Promise<string | null> {
    const [event] = await this.#options.reads.stream(identityStream, 'start', 'forwards', 1)
    if (event === undefined) return null
    const data: unknown = JSON.parse(event.data)
    const logId = typeof data === 'object' && data !== null && 'logId' in data ? data.logId : undefined
    if (typeof logId !== 'string') throw new Error(`${identityStream}@0 in EventStoreDB was not written by Waybill`)
    return logId
  }

  #breakWith(message: string): AnotherLogError {
    if (this.#broken === null) {
      this.#broken = new AnotherLogError(message)
      this.#options.logger.error({ logId: this.#logId, highest: String(this.#highest) }, message)
      this.#options.onAnotherLog(this.#broken)
    }
    return this.#broken
  }
}
