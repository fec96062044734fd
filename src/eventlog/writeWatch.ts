import type { AppendOutcome, EventLog } from './eventLog.ts'

export interface WriteWatchOptions {
  /** How long appends may fail, with none between that succeeds. */
  readonly failingMsMax: number
  /** Told once. */
  readonly onFailing: () => void
}

/** A log that has not answered by then is as good as gone. */
const answerMsMax = 2_000

/**
 * The same log, its appends watched. Only what was tried and could not be written, or was not confirmed, counts: a log that
 * refuses a command works. When the time is up and nobody has tried for a while, the log is asked whether it answers.
 */
export function watchWrites(log: EventLog, options: WriteWatchOptions): EventLog {
  const watch = new WriteWatch(log, options)
  return {
    logId: log.logId,
    ...(log.positionsPerEvent === undefined ? null : { positionsPerEvent: log.positionsPerEvent }),
    async append(batch) {
      const outcomes = await log.append(batch)
      watch.saw(outcomes)
      return outcomes
    },
    readStream: (stream, how) => log.readStream(stream, how),
    readEvent: (stream, id) => log.readEvent(stream, id),
    readAll: (how) => log.readAll(how),
    subscribe: (how) => log.subscribe(how),
    head: () => log.head(),
    close() {
      watch.forget()
      return log.close()
    },
  }
}

class WriteWatch {
  readonly #log: EventLog
  readonly #options: WriteWatchOptions
  /** Of the first append that failed with none after it that succeeded. */
  #sinceMs: number | null = null
  #lastMs = 0
  #timer: NodeJS.Timeout | undefined

  constructor(log: EventLog, options: WriteWatchOptions) {
    this.#log = log
    this.#options = options
  }

  saw(outcomes: readonly AppendOutcome[]): void {
    if (outcomes.some(({ kind }) => kind === 'appended')) this.forget()
    else if (outcomes.some(({ kind }) => kind === 'unavailable' || kind === 'unknown')) this.#failed()
  }

  forget(): void {
    this.#sinceMs = null
    clearTimeout(this.#timer)
  }

  #failed(): void {
    this.#lastMs = performance.now()
    if (this.#sinceMs !== null) return
    this.#sinceMs = this.#lastMs
    this.#timer = setTimeout(() => void this.#decide(), this.#options.failingMsMax).unref()
  }

  async #decide(): Promise<void> {
    const since = this.#sinceMs
    if (since === null) return
    const { failingMsMax, onFailing } = this.#options
    const triedLately = this.#lastMs - since >= failingMsMax / 2
    if (!triedLately && (await this.#answers())) {
      // Unless it was tried again meanwhile.
      if (this.#sinceMs === since) this.forget()
      return
    }
    if (this.#sinceMs === since) onFailing()
  }

  async #answers(): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), answerMsMax)
    })
    const head = this.#log.head().then(
      () => true,
      () => false,
    )
    try {
      return await Promise.race([head, late])
    } finally {
      clearTimeout(timer)
    }
  }
}
