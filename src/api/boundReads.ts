import type { ReadModel } from '../projections/readModel.ts'
import type { FairShare } from './fairShare.ts'
import { FairSlots } from './fairSlots.ts'
import { shareProblem } from './shares.ts'

/** Read at once. A page can be 10 MB, several times as much while it is being made, and one thread makes them all. */
const atOnceMax = 4

/** The part of the read model that answers lists and counts. */
export type ListReads = Pick<ReadModel, 'operations' | 'stats' | 'pipelines'>

/**
 * Lists and counts wait in line, in which the owners of those that wait take turns. Once there are as many as may be, whoever
 * stands there with its share of them is told so at once.
 */
export class BoundReads {
  readonly #readModel: ListReads
  readonly #share: FairShare
  readonly #slots = new FairSlots(atOnceMax)

  constructor(readModel: ListReads, share: FairShare) {
    this.#readModel = readModel
    this.#share = share
  }

  /** As one owner (accessControl.ts) reads. What is refused throws ProblemError. */
  of(owner: string): ListReads {
    const readModel = this.#readModel
    return {
      operations: (query) => this.#bounded(owner, () => readModel.operations(query)),
      stats: () => this.#bounded(owner, () => readModel.stats()),
      pipelines: (maxCount, after) => this.#bounded(owner, () => readModel.pipelines(maxCount, after)),
    }
  }

  async #bounded<T>(owner: string, read: () => Promise<T>): Promise<T> {
    const share = this.#share
    let refuse: () => void = () => undefined
    // Nobody listens any more once the read has begun.
    const takenBack = new Promise<never>((_resolve, reject) => {
      refuse = () => reject(shareProblem('reads', share, owner))
    })
    takenBack.catch(() => undefined)
    let isTakenBack = false
    const place = share.take(owner, 1, () => {
      isTakenBack = true
      refuse()
    })
    if (place === null) throw shareProblem('reads', share, owner)
    const inTurn = this.#slots.run(owner, async () => {
      if (isTakenBack) return null
      place.keep()
      try {
        return { value: await read() }
      } finally {
        place.release()
      }
    })
    const found = await Promise.race([inTurn, takenBack])
    if (found === null) throw shareProblem('reads', share, owner)
    return found.value
  }
}
