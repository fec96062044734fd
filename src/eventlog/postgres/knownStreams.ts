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
 * writes. All of it was learnt in one turn of the log (migrations/0004_append_chains.sql). In another turn somebody else has
 * written, perhaps to any of the streams, so what was known before is forgotten, not only the streams of the call that
 * found out.
 */
export class KnownStreams {
  readonly #streams = new Map<string, KnownStream>()
  #turn = noTurn

  get turn(): bigint {
    return this.#turn
  }

  /** Of a chain's stream, when it is known to stand where the chain expects it; else 0. */
  numberFor({ stream, expected }: Chain): number {
    const known = this.#streams.get(stream)
    return known?.revision === expected ? known.number : 0
  }

  /** A call was answered in `turn`. `numbers` are those of the chains' streams; one of 0 or less has none. */
  learn(turn: bigint, chains: readonly Chain[], answers: readonly ChainAnswer[], numbers: readonly number[]): void {
    if (turn !== this.#turn) {
      this.forget()
      this.#turn = turn
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
    this.#turn = noTurn
  }
}

/** Turns count from 0. */
const noTurn = -1n
