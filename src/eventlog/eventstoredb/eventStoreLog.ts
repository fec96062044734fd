import {
  type AnotherLogError,
  type AppendOutcome,
  type AppendRequest,
  type EventLog,
  type EventLogLogger,
  LogUnavailableError,
  type ReadAllOptions,
  type ReadStreamOptions,
  type RecordedEvent,
  type SubscribeOptions,
} from '../eventLog.ts'
import { checkMaxCount, readAllCountMax, readStreamCountMax } from '../limits.ts'
import { appendBatch } from './appendBatch.ts'
import { Appends } from './appends.ts'
import { StoreClient } from './client.ts'
import { follow } from './follow.ts'
import { Identity } from './identity.ts'
import { refuseUnlessOpen } from './logState.ts'
import { Reads } from './reads.ts'

export interface EventStoreLogOptions {
  /** `esdb://` or `esdb+discover://`: a cluster of Waybill's own, of version 22.10 or later. */
  readonly connectionString: string
  /** Most appends under way. Default 64. */
  readonly inFlightMax?: number
  /** How long an append is pursued before its outcome is said to be unknown. Default 5,000. */
  readonly deadlineMs?: number
  /** A server that leaves every append unanswered for so long is given up. Default 2,000. */
  readonly silenceMs?: number
  /** How long an append waits for a connection that was lost a moment ago, before it says `unavailable`. Default 1,000. */
  readonly patienceMs?: number
  /** Bound of a read. Default 10,000. */
  readonly readTimeoutMs?: number
  /** After so long without an event a subscription is compared with the head of the log. Default 2,000. */
  readonly quietMs?: number
  /** How long the end of the log may be missing, after a change of leader, before it counts as lost. Default 30,000. */
  readonly missingMsMax?: number
  /** Open it although it takes no appends, because it has been copied or is being copied. Default false. */
  readonly whateverState?: boolean
  /** Told once, when the server turns out to hold another log (AnotherLogError): nothing will be served any more. */
  readonly onAnotherLog?: (error: AnotherLogError) => void
  readonly logger?: EventLogLogger
}

export interface EventStoreLog extends EventLog {
  /** The log was at this position, as somebody else remembers: one that ends before is another history. */
  saw(position: bigint): void
}

const silent: EventLogLogger = { info: () => undefined, warn: () => undefined, error: () => undefined }

/**
 * Opens the log in EventStoreDB, and creates it where there is none. Throws LogUnavailableError when the server cannot be
 * reached, or LogNotOpenError when the log takes no appends any more.
 *
 * Unlike PostgreSQL's, an append whose outcome is `unknown` may still land, until the next event of its stream; positions
 * have gaps; and an event id that is in the log already is found only within one append: whoever decides has asked
 * `readEvent` at the revision that it expects.
 */
export async function openEventStoreLog(options: EventStoreLogOptions): Promise<EventStoreLog> {
  const { logger = silent } = options
  const client = new StoreClient(options.connectionString)
  const reads = new Reads({ client, timeoutMs: options.readTimeoutMs ?? 10_000 })
  const identity = new Identity({
    reads,
    logger,
    onAnotherLog: options.onAnotherLog ?? (() => undefined),
    missingMsMax: options.missingMsMax ?? 30_000,
  })
  const settings = {
    client,
    isBroken: () => identity.isBroken,
    logger,
    inFlightMax: options.inFlightMax ?? 64,
    deadlineMs: options.deadlineMs ?? 5_000,
    silenceMs: options.silenceMs ?? 2_000,
    patienceMs: options.patienceMs ?? 1_000,
  }
  const creation = new Appends({ ...settings, admit: async () => undefined })
  try {
    await identity.open(creation)
    if (options.whateverState !== true) await refuseUnlessOpen(reads)
  } catch (error) {
    await client.close()
    throw error
  } finally {
    await creation.close()
  }
  const appends = new Appends({ ...settings, admit: () => identity.admit() })
  return new Log({ client, reads, identity, appends, logger, quietMs: options.quietMs ?? 2_000 })
}

interface Parts {
  readonly client: StoreClient
  readonly reads: Reads
  readonly identity: Identity
  readonly appends: Appends
  readonly logger: EventLogLogger
  readonly quietMs: number
}

class Log implements EventStoreLog {
  /** Measured: an event of some 300 bytes of data, with its metadata and the store's own. */
  readonly positionsPerEvent = 1_200
  readonly #parts: Parts
  readonly #closed = new AbortController()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  get logId(): string {
    return this.#parts.identity.logId
  }

  append(batch: readonly AppendRequest[]): Promise<readonly AppendOutcome[]> {
    const { appends, reads, identity } = this.#parts
    return appendBatch({ appends, reads, saw: (position) => identity.saw(position) }, batch)
  }

  async readStream(stream: string, options: ReadStreamOptions): Promise<readonly RecordedEvent[]> {
    const { direction = 'forwards', fromRevision, maxCount, bytesMax } = options
    checkMaxCount(maxCount, readStreamCountMax)
    this.#check()
    const from = fromRevision ?? (direction === 'forwards' ? 'start' : 'end')
    return this.#parts.reads.stream(stream, from, direction, maxCount, bytesMax)
  }

  async readEvent(stream: string, id: string): Promise<RecordedEvent | null> {
    this.#check()
    for (let from = 0n; ; ) {
      const events = await this.#parts.reads.stream(stream, from, 'forwards', readStreamCountMax)
      const found = events.find((event) => event.id === id)
      const last = events.at(-1)
      if (found !== undefined || last === undefined || events.length < readStreamCountMax) return found ?? null
      from = last.revision + 1n
    }
  }

  async readAll({ after, maxCount }: ReadAllOptions): Promise<readonly RecordedEvent[]> {
    checkMaxCount(maxCount, readAllCountMax)
    this.#check()
    const events = await this.#parts.reads.all(after, maxCount)
    const last = events.at(-1)
    if (last !== undefined) this.#parts.identity.saw(last.position)
    return events
  }

  subscribe({ after, maxCount, signal }: SubscribeOptions): AsyncGenerator<readonly RecordedEvent[]> {
    checkMaxCount(maxCount, readAllCountMax)
    return follow(this.#parts, after, maxCount, AbortSignal.any([signal, this.#closed.signal]))
  }

  async head(): Promise<bigint> {
    this.#check()
    const head = await this.#parts.reads.head()
    this.#parts.identity.saw(head)
    return head
  }

  saw(position: bigint): void {
    this.#parts.identity.heardOf(position)
  }

  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return
    this.#closed.abort()
    const { appends, identity, client } = this.#parts
    await appends.close()
    identity.close()
    await client.close()
  }

  #check(): void {
    if (this.#closed.signal.aborted) throw new LogUnavailableError('The log is closed')
    this.#parts.identity.check()
  }
}
