import { type EventLog, LogUnavailableError } from '../eventlog/eventLog.ts'

/** Whoever asks for counts gets them all the same: they wait no longer than this for a log that does not answer. */
const answerMsMax = 2_000

export interface HeadSeen {
  readonly head: bigint
  /** Set while the log does not answer: when `head` was last read from it; null: not by this process. */
  readonly headReadAt?: string | null
}

/** The log's head, for answers that need not fail with the log: counts come from the read model. */
export class KnownHead {
  readonly #log: Pick<EventLog, 'head'>
  #last: { readonly head: bigint; readonly at: string } | null = null

  constructor(log: Pick<EventLog, 'head'>) {
    this.#log = log
  }

  /** Never below `position`, which the read model has. Throws what is no matter of an absent log. */
  async read(position: bigint): Promise<HeadSeen> {
    try {
      const head = await this.#ask()
      return { head: later(head, position) }
    } catch (error) {
      if (!(error instanceof LogUnavailableError)) throw error
      return { head: later(this.#last?.head ?? 0n, position), headReadAt: this.#last?.at ?? null }
    }
  }

  async #ask(): Promise<bigint> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new LogUnavailableError('The log is silent')), answerMsMax)
    })
    try {
      const head = await Promise.race([this.#log.head(), late])
      this.#last = { head, at: new Date().toISOString() }
      return head
    } finally {
      clearTimeout(timer)
    }
  }
}

const later = (one: bigint, other: bigint) => (one > other ? one : other)
