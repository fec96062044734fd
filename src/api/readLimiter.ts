import { createSemaphore } from '../eventlog/semaphore.ts'
import type { FairShare } from '../fairShare.ts'
import type { ReadModel } from '../projections/readModel.ts'
import { shareProblem } from './shares.ts'

/** Read at once. A page can be 10 MB, several times as much while it is being made, and one thread makes them all. */
const atOnceMax = 4

/** The part of the read model that answers lists and counts. */
export type ListReads = Pick<ReadModel, 'operations' | 'stats' | 'pipelines'>

/**
 * Lists and counts wait for a permit; the owners of those that wait take turns. Once as many are in hand as may be, a read
 * of an owner that has its share of them already is refused, and one that waits is refused for an owner that has fewer.
 */
export class ReadLimiter {
  readonly #readModel: ListReads
  readonly #share: FairShare
  readonly #semaphore = createSemaphore(atOnceMax)

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

  #bounded<T>(owner: string, read: () => Promise<T>): Promise<T> {
    const share = this.#share
    return new Promise((resolve, reject) => {
      let isReclaimed = false
      const lease = share.take(owner, 1, () => {
        isReclaimed = true
        reject(shareProblem('reads', share, owner))
      })
      if (lease === null) return reject(shareProblem('reads', share, owner))
      const readInTurn = async () => {
        if (isReclaimed) return
        lease.keep()
        try {
          resolve(await read())
        } catch (error) {
          reject(error)
        } finally {
          lease.release()
        }
      }
      void this.#semaphore.run(readInTurn, owner)
    })
  }
}
