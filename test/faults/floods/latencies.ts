/** Milliseconds, and what is asked of them. */
export class Latencies {
  readonly #values: number[] = []

  add(ms: number): void {
    this.#values.push(ms)
  }

  get count(): number {
    return this.#values.length
  }

  /** Null: there are none. */
  quantile(share: number): number | null {
    const sorted = this.#values.toSorted((one, other) => one - other)
    const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
    return value === undefined ? null : Math.round(value * 10) / 10
  }

  get p50(): number | null {
    return this.quantile(0.5)
  }

  get p99(): number | null {
    return this.quantile(0.99)
  }
}
