import type { EventLog, RecordedEvent } from '../eventlog/eventLog.ts'

export interface EventQueueLimits {
  /** The queue reads no further while it holds this many events or more. */
  readonly eventsMax: number
  /** The same, in UTF-16 units of their data and metadata. */
  readonly bytesMax: number
  /** Events asked of the log at once. */
  readonly readCountMax: number
}

/**
 * Follows the log and holds what has not been folded yet, so that the next batch gathers while the one before is
 * committed. Bounded: it stops reading when it is full.
 */
export class EventQueue {
  readonly #limits: EventQueueLimits
  readonly #abort = new AbortController()
  readonly #finished: Promise<void>
  #events: RecordedEvent[] = []
  #taken = 0
  #bytes = 0
  #error: Error | null = null
  #ended = false
  /** When the oldest event held here arrived; null when there is none. */
  #oldestAt: number | null = null
  #wakeReader: (() => void) | null = null
  #wakeFolder: (() => void) | null = null

  constructor(log: EventLog, after: bigint, limits: EventQueueLimits) {
    this.#limits = limits
    this.#finished = this.#follow(log, after)
  }

  get length(): number {
    return this.#events.length - this.#taken
  }

  get oldestAt(): number | null {
    return this.#oldestAt
  }

  /** The position of the last event held, or null. */
  get lastPosition(): bigint | null {
    return this.length === 0 ? null : (this.#events.at(-1)?.position ?? null)
  }

  get full(): boolean {
    return this.length >= this.#limits.eventsMax || this.#bytes >= this.#limits.bytesMax
  }

  /** Resolves when there are events, when the log ended or failed, when `wake` is called, or after `timeoutMs`. */
  async changed(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#wakeFolder = resolve
      timer = setTimeout(resolve, timeoutMs)
    })
    clearTimeout(timer)
    this.#wakeFolder = null
  }

  wake(): void {
    this.#wakeFolder?.()
  }

  /** Takes events from the front, at least one when there is any. Throws what ended the subscription, once all are taken. */
  take(countMax: number, bytesMax: number): readonly RecordedEvent[] {
    if (this.length === 0) {
      if (this.#error !== null) throw this.#error
      if (this.#ended) throw new Error('the subscription of the log ended')
      return []
    }
    const start = this.#taken
    let bytes = 0
    while (this.#taken < this.#events.length && this.#taken - start < countMax && bytes < bytesMax) {
      const event = this.#events[this.#taken]
      if (event === undefined) break
      bytes += event.data.length + event.metadata.length
      this.#taken += 1
    }
    const events = this.#events.slice(start, this.#taken)
    this.#bytes -= bytes
    this.#oldestAt = this.length === 0 ? null : Date.now()
    if (this.#taken > 10_000 || this.length === 0) {
      this.#events = this.#events.slice(this.#taken)
      this.#taken = 0
    }
    if (!this.full) this.#wakeReader?.()
    return events
  }

  async close(): Promise<void> {
    this.#abort.abort()
    this.#wakeReader?.()
    await this.#finished
  }

  async #follow(log: EventLog, after: bigint): Promise<void> {
    const { signal } = this.#abort
    try {
      for await (const events of log.subscribe({ after, maxCount: this.#limits.readCountMax, signal })) {
        if (events.length === 0) continue
        for (const event of events) {
          this.#events.push(event)
          this.#bytes += event.data.length + event.metadata.length
        }
        this.#oldestAt ??= Date.now()
        this.#wakeFolder?.()
        while (this.full && !signal.aborted) {
          await new Promise<void>((resolve) => {
            this.#wakeReader = resolve
          })
          this.#wakeReader = null
        }
        if (signal.aborted) break
      }
    } catch (error) {
      this.#error = error instanceof Error ? error : new Error(String(error))
    }
    this.#ended = true
    this.#wakeFolder?.()
  }
}
