/** Lets so many work at once; the others wait in line. */
export class Turns {
  readonly #atOnceMax: number
  readonly #waiting: (() => void)[] = []
  #working = 0

  constructor(atOnceMax: number) {
    this.#atOnceMax = atOnceMax
  }

  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#working < this.#atOnceMax) this.#working += 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#working -= 1
      else next()
    }
  }
}
