import { backOffMs } from '../../runtime/backOff.ts'
import { pause, WakeUp } from '../../runtime/wakeUp.ts'
import type { EventLogLogger, RecordedEvent } from '../eventLog.ts'
import type { ReadItem, ReadStream, StoreClient } from './client.ts'
import type { Identity } from './identity.ts'
import { identityStream, type Reads } from './reads.ts'
import { fromStored } from './wire.ts'

export interface FollowOptions {
  readonly client: StoreClient
  readonly reads: Reads
  readonly identity: Identity
  readonly logger: EventLogLogger
  /** A subscription from which nothing came for so long is compared with the head of the log. */
  readonly quietMs: number
}

/** What may wait in memory: beyond it the server is not listened to. */
const waitingCountMax = 2_000
const waitingCharactersMax = 16_000_000

/**
 * Follows the log: one subscription after the other, each from where the one before was handled, because a subscription of
 * the store's does not resume by itself, and may end, fail or fall silent.
 */
export async function* follow(
  options: FollowOptions,
  after: bigint,
  maxCount: number,
  signal: AbortSignal,
): AsyncGenerator<readonly RecordedEvent[]> {
  let position = after
  let failures = 0
  while (!signal.aborted) {
    options.identity.check()
    const subscription = new Subscription(options, position, signal)
    try {
      for (;;) {
        const events = await subscription.next(maxCount)
        if (events === null || signal.aborted) break
        failures = 0
        yield events
      }
    } catch (error) {
      options.identity.check()
      const reason = error instanceof Error ? error.message : String(error)
      options.logger.warn({ reason, position: String(position) }, 'Lost a subscription to EventStoreDB')
    } finally {
      subscription.close()
    }
    position = subscription.position
    failures += 1
    await pause(backOffMs(failures), signal)
  }
}

class Subscription {
  readonly #options: FollowOptions
  readonly #signal: AbortSignal
  readonly #changed = new WakeUp()
  #items: ReadItem[] = []
  #characters = 0
  #stream: ReadStream | null = null
  #paused = false
  #closed = false
  #end: { readonly error: Error } | null = null
  /** Up to here everything was handed out: where the next subscription is to begin. */
  position: bigint

  constructor(options: FollowOptions, after: bigint, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
    this.position = after
    void this.#open(after)
  }

  /** The next events, one at least; null when the signal aborts. Throws when the subscription is lost. */
  async next(maxCount: number): Promise<readonly RecordedEvent[] | null> {
    for (;;) {
      this.#options.identity.check()
      const events = this.#take(maxCount)
      if (events.length > 0) return events
      if (this.#signal.aborted) return null
      if (this.#end !== null) throw this.#end.error
      const { count } = this.#changed
      await this.#changed.wait(this.#signal, this.#options.quietMs)
      if (this.#changed.count === count && !this.#signal.aborted) await this.#checkQuiet(count)
    }
  }

  close(): void {
    this.#closed = true
    this.#stream?.cancel()
  }

  async #open(after: bigint): Promise<void> {
    const from = { position: after === 0n ? ('start' as const) : after }
    try {
      // Nothing of another history is handed out.
      await this.#options.identity.admit()
      if (this.#closed) return
      const stream = await this.#options.client.openRead({
        from,
        direction: 'forwards',
        maxCount: null,
        timeoutMs: null,
      })
      if (this.#closed) return stream.cancel()
      this.#stream = stream
      stream.onItem((item) => this.#arrived(item))
      stream.onEnd((error) => this.#ended(error ?? new Error('The server ended the subscription')))
    } catch (error) {
      this.#ended(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #arrived(item: ReadItem): void {
    this.#items.push(item)
    if (item.kind === 'event') this.#characters += item.event.data.length + item.event.metadata.length
    if (this.#items.length >= waitingCountMax || this.#characters >= waitingCharactersMax) {
      this.#paused = true
      this.#stream?.pause()
    }
    this.#changed.wake()
  }

  #ended(error: Error): void {
    this.#end ??= { error }
    this.#changed.wake()
  }

  #take(maxCount: number): RecordedEvent[] {
    const events: RecordedEvent[] = []
    let taken = 0
    for (const item of this.#items) {
      if (events.length === maxCount) break
      taken += 1
      if (item.kind === 'checkpoint') this.position = item.position
      if (item.kind !== 'event') continue
      this.#characters -= item.event.data.length + item.event.metadata.length
      this.position = item.event.position
      if (item.event.stream !== identityStream) events.push(fromStored(item.event))
    }
    this.#items = this.#items.slice(taken)
    const last = events.at(-1)
    if (last !== undefined) this.#options.identity.saw(last.position)
    if (this.#paused && this.#items.length === 0) {
      this.#paused = false
      this.#stream?.resume()
    }
    return events
  }

  /** Nothing came, and it may be that nothing was to come. */
  async #checkQuiet(count: number): Promise<void> {
    const head = await this.#options.reads.head()
    if (head <= this.position || this.#changed.count !== count) return
    throw new Error(`It stays silent at ${this.position}, and the log ends at ${head}`)
  }
}
