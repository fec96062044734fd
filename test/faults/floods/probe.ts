import { setTimeout as delay } from 'node:timers/promises'
import { WaybillHttp } from '../../nodes/support/waybillHttp.ts'
import { Latencies } from './latencies.ts'

const pauseMs = 20

/** One well-behaved client that reports, one call after the other, and notes how long each takes. */
export class Probe {
  readonly #http: WaybillHttp
  readonly #running: Promise<void>
  #stopped = false
  #calls = 0
  #window = new Latencies()
  /** What it was told that a client in good faith should not be: 503 is fair. */
  readonly unexpected: string[] = []
  overloaded = 0
  /** The last calls that were accepted in time, in a row. */
  #soundInARow = 0
  #soundMs = Number.POSITIVE_INFINITY

  constructor(url: string) {
    this.#http = new WaybillHttp(url)
    this.#running = this.#run()
  }

  /** From here on calls are noted anew; gives those before. */
  turn(): Latencies {
    const before = this.#window
    this.#window = new Latencies()
    return before
  }

  /** Milliseconds until ten calls in a row were accepted within `soundMs`; null: not in time. */
  async backWithin(soundMs: number, timeoutMs: number): Promise<number | null> {
    const beganMs = performance.now()
    this.#soundMs = soundMs
    this.#soundInARow = 0
    while (performance.now() - beganMs < timeoutMs) {
      if (this.#soundInARow >= 10) return Math.round(performance.now() - beganMs)
      await delay(5)
    }
    return null
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
    this.#http.close()
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const number = this.#calls
      this.#calls += 1
      const beganMs = performance.now()
      try {
        const answer = await this.#http.post(
          `/v1/operations/probe-${number % 50}/reports`,
          { service: 'probe', status: number % 2 === 0 ? 'busy' : 'idle', pipeline: 'any' },
          { 'idempotency-key': `probe-${number}` },
        )
        const ms = performance.now() - beganMs
        const isAccepted = answer.status === 200 || answer.status === 201
        if (isAccepted) this.#window.add(ms)
        else if (answer.status === 503) this.overloaded += 1
        else this.unexpected.push(`${answer.status} ${answer.text}`)
        this.#soundInARow = isAccepted && ms <= this.#soundMs ? this.#soundInARow + 1 : 0
      } catch (error) {
        this.unexpected.push(String(error))
        this.#soundInARow = 0
      }
      await delay(pauseMs)
    }
  }
}
