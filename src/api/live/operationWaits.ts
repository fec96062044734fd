import type { ChangedOperation } from '../../projections/queries/changedOperations.ts'

/** An operation as it is answered, and whether it is over. */
export interface SeenOperation {
  readonly text: string
  readonly revision: bigint
  /** Of its last event that was more than an ignored report that filled nothing. */
  readonly changedRevision: bigint
  /** Up to where it is folded. */
  readonly position: bigint
  readonly active: boolean
}

/** One request that waits for its operation. */
export interface OperationWait {
  /** What was told of the operation last, since the wait began. */
  readonly latest: SeenOperation | null
  /**
   * Settles with the first that is enough, already told or to come; null when the time is up or the wait was ended. Rejects
   * with the reason that it was ended for, if there is one.
   */
  until(enough: (seen: SeenOperation) => boolean, timeoutMs: number): Promise<SeenOperation | null>
  /** Ends it. Can be repeated. */
  end(reason?: Error): void
}

/** Who waits, by operation: a change costs its own waiters a call each, and nobody else anything. */
export class OperationWaits {
  readonly #byOperation = new Map<string, Set<Wait>>()
  #size = 0

  get size(): number {
    return this.#size
  }

  has(operation: string): boolean {
    return this.#byOperation.has(operation)
  }

  /** `isAllowed`: asked at each tick. */
  add(operation: string, isAllowed: () => boolean): OperationWait {
    const waits = this.#byOperation.get(operation) ?? new Set()
    this.#byOperation.set(operation, waits)
    const wait = new Wait(isAllowed, () => {
      if (!waits.delete(wait)) return
      this.#size -= 1
      if (waits.size === 0) this.#byOperation.delete(operation)
    })
    waits.add(wait)
    this.#size += 1
    return wait
  }

  /** `see` makes the answer, once for all who wait for the operation. */
  tell({ row }: ChangedOperation, see: () => SeenOperation): void {
    const waits = this.#byOperation.get(row.id)
    if (waits === undefined) return
    const seen = see()
    for (const wait of waits) wait.tell(seen)
  }

  /** Ends those whose key was revoked since they began. */
  endUnlessAllowed(): void {
    for (const waits of this.#byOperation.values()) for (const wait of waits) if (!wait.isAllowed()) wait.end()
  }

  endAll(): void {
    for (const waits of this.#byOperation.values()) for (const wait of waits) wait.end()
  }
}

class Wait implements OperationWait {
  readonly isAllowed: () => boolean
  readonly #onEnd: () => void
  #latest: SeenOperation | null = null
  #enough: ((seen: SeenOperation) => boolean) | null = null
  #settle: ((seen: SeenOperation | null) => void) | null = null
  #ended = false
  #reason: Error | null = null

  constructor(isAllowed: () => boolean, onEnd: () => void) {
    this.isAllowed = isAllowed
    this.#onEnd = onEnd
  }

  get latest(): SeenOperation | null {
    return this.#latest
  }

  tell(seen: SeenOperation): void {
    if (this.#latest !== null && seen.position < this.#latest.position) return
    this.#latest = seen
    if (this.#enough?.(seen) === true) this.#settle?.(seen)
  }

  until(enough: (seen: SeenOperation) => boolean, timeoutMs: number): Promise<SeenOperation | null> {
    if (this.#latest !== null && enough(this.#latest)) return Promise.resolve(this.#latest)
    if (this.#reason !== null) return Promise.reject(this.#reason)
    if (this.#ended || timeoutMs <= 0) return Promise.resolve(null)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle?.(null), timeoutMs)
      this.#enough = enough
      this.#settle = (seen) => {
        clearTimeout(timer)
        this.#settle = null
        this.#enough = null
        if (seen === null && this.#reason !== null) reject(this.#reason)
        else resolve(seen)
      }
    })
  }

  end(reason?: Error): void {
    if (!this.#ended) this.#reason = reason ?? null
    this.#ended = true
    this.#onEnd()
    this.#settle?.(null)
  }
}
