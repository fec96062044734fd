import type { Chain } from '../chains.ts'
import type { ChainAnswer } from './appendCall.ts'

/** Streams remembered at most. One that is forgotten is looked up again, which costs PostgreSQL some 5 us. */
const rememberedMax = 50_000

interface KnownStream {
  readonly number: number
  readonly revision: bigint
}

/**
 * Where streams stand, as far as one session's own appends say so: the store need not look them up while nobody else
 * writes. All of it was learnt in one epoch of one writer (migrations/0004_append_chains.sql). In another epoch somebody else has
 * written, perhaps to any of the streams, so what was known before is forgotten, not only the streams of the call that
 * found out.
 */
export class KnownStreams {
  readonly #streams = new Map<string, KnownStream>()
  #epoch = noEpoch

  get writerEpoch(): bigint {
    return this.#epoch
  }

  /** Of a chain's stream, when it is known to stand where the chain expects it; else 0. */
  numberFor({ stream, expected }: Chain): number {
    const known = this.#streams.get(stream)
    return known?.revision === expected ? known.number : 0
  }

  /** A call was answered in `writerEpoch`. `numbers` are those of the chains' streams; one of 0 or less has none. */
  learn(
    writerEpoch: bigint,
    chains: readonly Chain[],
    answers: readonly ChainAnswer[],
    numbers: readonly number[],
  ): void {
    if (writerEpoch !== this.#epoch) {
      this.forget()
      this.#epoch = writerEpoch
    }
    for (const [index, { stream, expected, eventCount }] of chains.entries()) {
      const number = numbers[index] ?? 0
      if (answers[index]?.kind === 'appended' && number > 0) {
        this.#streams.set(stream, { number, revision: expected + BigInt(eventCount) })
      } else {
        this.#streams.delete(stream)
      }
    }
    for (const oldest of this.#streams.keys()) {
      if (this.#streams.size <= rememberedMax) break
      this.#streams.delete(oldest)
    }
  }

  /** After a call that the store refused: what was known may be why. */
  forget(): void {
    this.#streams.clear()
    this.#epoch = noEpoch
  }
}

/** Epochs count from 0. */
const noEpoch = -1n
