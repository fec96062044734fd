import { tamperedReason } from '../readModel.ts'

/**
 * The streams that are parked, each at its first event that was not folded. No command that was accepted makes one; but where
 * a pipeline's definition is parked, all of its operations are, so there may be as many as operations: some 100 bytes each.
 */
export class ParkedStreams {
  readonly #revisions = new Map<string, bigint>()
  readonly #tampered = new Set<string>()

  get size(): number {
    return this.#revisions.size
  }

  /** How many of them have a broken hash chain. Counted as they come: going over all of them for each batch adds up. */
  get tampered(): number {
    return this.#tampered.size
  }

  has(stream: string): boolean {
    return this.#revisions.has(stream)
  }

  /** Undefined: it is not parked. */
  revisionOf(stream: string): bigint | undefined {
    return this.#revisions.get(stream)
  }

  park({ stream, revision, reason }: ParkedAt): void {
    this.#revisions.set(stream, revision)
    if (reason === tamperedReason) this.#tampered.add(stream)
    else this.#tampered.delete(stream)
  }

  unpark(stream: string): void {
    this.#revisions.delete(stream)
    this.#tampered.delete(stream)
  }

  clear(): void {
    this.#revisions.clear()
    this.#tampered.clear()
  }
}

export interface ParkedAt {
  readonly stream: string
  /** Of the first event that was not folded. */
  readonly revision: bigint
  readonly reason: string
}
