import type { Terminal } from './terminal.ts'

export interface Done {
  readonly done: number
  readonly total: number
}

/** How often a line is written where there is no terminal. */
const lineEveryMs = 5_000
const barWidth = 30

/** Shows how far something is: a bar on a terminal, a line now and then off it. */
export class Progress {
  readonly #terminal: Terminal
  readonly #unit: string
  readonly #nowMs: () => number
  #first: { readonly atMs: number; readonly done: number } | null = null
  #lineAtMs = Number.NEGATIVE_INFINITY

  constructor(terminal: Terminal, unit: string, nowMs: () => number = () => performance.now()) {
    this.#terminal = terminal
    this.#unit = unit
    this.#nowMs = nowMs
  }

  show({ done, total }: Done): void {
    const nowMs = this.#nowMs()
    // Begun anew.
    if (this.#first === null || done < this.#first.done) this.#first = { atMs: nowMs, done }
    const seconds = (nowMs - this.#first.atMs) / 1_000
    const perSecond = seconds > 0 ? (done - this.#first.done) / seconds : 0
    const text = progressText({ done, total }, perSecond, this.#unit)
    if (this.#terminal.isTerminal) this.#terminal.fleeting(`${bar(done, total)} ${text}`)
    else if (nowMs - this.#lineAtMs >= lineEveryMs) {
      this.#lineAtMs = nowMs
      this.#terminal.progress(text)
    }
  }

  end(): void {
    this.#terminal.fleeting('')
  }
}

function bar(done: number, total: number): string {
  const filled = total === 0 ? 0 : Math.floor((barWidth * done) / total)
  return `[${'#'.repeat(filled)}${'.'.repeat(barWidth - filled)}]`
}

/** `40 %, 4000 of 10000 events, 1200/s, 0:05 left` */
export function progressText({ done, total }: Done, perSecond: number, unit: string): string {
  const share = total === 0 ? 0 : Math.floor((100 * done) / total)
  const left = perSecond > 0 ? `, ${Math.round(perSecond)}/s, ${clock((total - done) / perSecond)} left` : ''
  return `${share} %, ${done} of ${total} ${unit}${left}`
}

function clock(seconds: number): string {
  const whole = Math.ceil(seconds)
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`
}
