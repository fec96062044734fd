import { backOffMs } from '../../runtime/backOff.ts'
import { createSemaphore } from '../../runtime/semaphore.ts'
import { pause } from '../../runtime/wakeUp.ts'
import { LogUnavailableError, type RecordedEvent } from '../eventLog.ts'
import { contentBytes } from '../limits.ts'
import type { Query, ReadStream, StoreClient } from './client.ts'
import { fromStored } from './wire.ts'

export interface ReadsOptions {
  readonly client: StoreClient
  readonly timeoutMs: number
}

/** Under way at once: a connection carries a hundred streams, and appends and subscriptions need theirs. */
const readsMax = 48
const attemptsMax = 3

/** The stream that says which log this is: no part of the log. */
export const identityStream = 'waybill-log'

/** Reads of the leader. They throw LogUnavailableError. */
export class Reads {
  readonly #options: ReadsOptions
  readonly #slots = createSemaphore(readsMax)

  constructor(options: ReadsOptions) {
    this.#options = options
  }

  async stream(
    stream: string,
    revision: bigint | 'start' | 'end',
    direction: Query['direction'],
    maxCount: number,
    bytesMax?: number,
  ): Promise<RecordedEvent[]> {
    return this.#collect({ from: { stream, revision }, direction, maxCount }, bytesMax)
  }

  async all(after: bigint, maxCount: number): Promise<RecordedEvent[]> {
    // One more, because the read begins with the event at `after`; and one for the identity.
    const position = after === 0n ? 'start' : after
    const events = await this.#collect({ from: { position }, direction: 'forwards', maxCount: maxCount + 2 })
    return events.filter((event) => event.position > after && event.stream !== identityStream).slice(0, maxCount)
  }

  async head(): Promise<bigint> {
    return (await this.last())?.position ?? 0n
  }

  /** The log's last event. */
  async last(): Promise<RecordedEvent | null> {
    const events = await this.#collect({ from: { position: 'end' }, direction: 'backwards', maxCount: 2 })
    return events.find(({ stream }) => stream !== identityStream) ?? null
  }

  #collect(query: Omit<Query, 'timeoutMs'>, bytesMax = Number.POSITIVE_INFINITY): Promise<RecordedEvent[]> {
    return this.#slots.run(async () => {
      try {
        return await this.#persist(query, performance.now() + this.#options.timeoutMs, bytesMax)
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        throw new LogUnavailableError(`The event log cannot be read now: ${reason}`, { cause: error })
      }
    })
  }

  /** A connection that was lost, or led to a node that does not lead, is replaced at the next call. */
  async #persist(query: Omit<Query, 'timeoutMs'>, until: number, bytesMax: number): Promise<RecordedEvent[]> {
    for (let attempt = 1; ; attempt += 1) {
      const leftMs = Math.max(1, Math.ceil(until - performance.now()))
      try {
        return await this.#read({ ...query, timeoutMs: leftMs }, leftMs, bytesMax)
      } catch (error) {
        if (attempt === attemptsMax || performance.now() >= until || isRefusal(error)) throw error
        await pause(backOffMs(attempt), AbortSignal.timeout(leftMs))
      }
    }
  }

  /** Bounded by a timer of ours as well: finding a node to ask takes its own time. */
  #read(query: Query, boundMs: number, bytesMax: number): Promise<RecordedEvent[]> {
    return new Promise((resolve, reject) => {
      let opened: ReadStream | null = null
      const events: RecordedEvent[] = []
      let bytes = 0
      const timer = setTimeout(() => {
        opened?.cancel()
        reject(new Error(`no answer in ${boundMs} ms`))
      }, boundMs + 100)
      const end = (error: Error | null): void => {
        clearTimeout(timer)
        if (error === null) resolve(events)
        else reject(error)
      }
      this.#options.client.openRead(query).then((stream) => {
        opened = stream
        stream.onItem((item) => {
          if (item.kind !== 'event' || bytes > bytesMax) return
          const event = fromStored(item.event)
          bytes += contentBytes(event)
          if (bytes <= bytesMax) events.push(event)
          else {
            // The rest is not even sent.
            end(null)
            stream.cancel()
          }
        })
        stream.onEnd(end)
      }, end)
    })
  }
}

/** gRPC's UNKNOWN: the server failed at just this read, as at a position where no event begins. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 2
}
