export interface CachedReadOptions {
  /** For how long an answer serves. */
  readonly freshMs: number
  /** Nobody waits longer; the read goes on, and its answer serves whoever asks next. */
  readonly answerMsMax: number
  /** Milliseconds that only grow. */
  readonly nowMs: () => number
}

/** One read at a time, whoever asks how often, so that what is asked at every scrape costs the database little. */
export class CachedRead<T> {
  readonly #read: () => Promise<T>
  readonly #options: CachedReadOptions
  #last: { readonly value: T; readonly atMs: number } | null = null
  #underWay: Promise<T | null> | null = null

  constructor(read: () => Promise<T>, options: CachedReadOptions) {
    this.#read = read
    this.#options = options
  }

  /** Null when the read fails, or takes too long. Never rejects. */
  async get(): Promise<T | null> {
    const { freshMs, answerMsMax, nowMs } = this.#options
    if (this.#last !== null && nowMs() - this.#last.atMs < freshMs) return this.#last.value
    this.#underWay ??= this.#ask()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), answerMsMax)
    })
    try {
      return await Promise.race([this.#underWay, late])
    } finally {
      clearTimeout(timer)
    }
  }

  async #ask(): Promise<T | null> {
    try {
      const value = await this.#read()
      this.#last = { value, atMs: this.#options.nowMs() }
      return value
    } catch {
      this.#last = null
      return null
    } finally {
      this.#underWay = null
    }
  }
}
