import { setTimeout as delay } from 'node:timers/promises'
import type { EventLog, RecordedEvent } from '../../eventlog/eventLog.ts'

export interface LogFollowerOptions {
  readonly log: EventLog
  /** Called with the position it begins after, before any event. */
  readonly onStart: (position: bigint) => void
  readonly onEvents: (events: readonly RecordedEvent[]) => Promise<void>
  /** It ended by itself: the log is another one, or closed, or there is a bug. */
  readonly onFailed: (error: unknown) => void
  /** How long it gathers events for one round of writes, in milliseconds; asked before each. */
  readonly windowMs: () => number
}

/** Events asked of the log at once. */
const readCountMax = 500

/** The node's one subscription of the log, as long as somebody uses it. */
export class LogFollower {
  readonly #options: LogFollowerOptions
  #started: Promise<void> | null = null
  #abort = new AbortController()
  #finished: Promise<void> = Promise.resolve()
  #following = false

  constructor(options: LogFollowerOptions) {
    this.#options = options
  }

  /** False while it is about to begin, too. */
  get isFollowing(): boolean {
    return this.#following
  }

  /** Resolves once it follows, from the log's head on. Rejects with LogUnavailableError when the log cannot be asked. */
  start(): Promise<void> {
    if (this.#started !== null) return this.#started
    const starting = this.#start()
    this.#started = starting
    starting.catch(() => {
      if (this.#started === starting) this.#started = null
    })
    return starting
  }

  /** Resolves once nothing is read any more. It can be started again. */
  async stop(): Promise<void> {
    this.#started = null
    this.#following = false
    this.#abort.abort()
    await this.#finished
  }

  async #start(): Promise<void> {
    await this.#finished
    const { log, onStart, onFailed } = this.#options
    const position = await log.head()
    const abort = new AbortController()
    this.#abort = abort
    onStart(position)
    this.#following = true
    this.#finished = this.#follow(position, abort.signal).catch((error: unknown) => {
      if (this.#abort === abort) this.#started = null
      this.#following = false
      onFailed(error)
    })
  }

  async #follow(after: bigint, signal: AbortSignal): Promise<void> {
    const { log, onEvents, windowMs } = this.#options
    for await (const events of log.subscribe({ after, maxCount: readCountMax, signal })) {
      if (events.length > 0) await onEvents(events)
      const ms = windowMs()
      // A batch that was full leaves nothing to gather.
      if (ms > 0 && events.length < readCountMax) await delay(ms, undefined, { signal }).catch(() => undefined)
      if (signal.aborted) return
    }
    if (!signal.aborted) throw new Error('the subscription of the log ended')
  }
}
