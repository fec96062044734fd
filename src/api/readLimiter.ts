import type { FairShare } from '../runtime/fairShare.ts'
import { createSemaphore } from '../runtime/semaphore.ts'
import { shareProblem } from './shares.ts'

/** Read at once. A page can be 10 MB, several times as much while it is being made, and one thread makes them all. */
const atOnceMax = 4

/**
 * Lists and counts wait for a permit; the owners of those that wait take turns. Once as many are in hand as may be, one more
 * of an owner that has its share of them already is refused, and one that waits is refused for an owner that has fewer.
 */
export class ReadLimiter {
  readonly #share: FairShare
  readonly #semaphore = createSemaphore(atOnceMax)

  constructor(share: FairShare) {
    this.#share = share
  }

  /**
   * Does all that one request reads, under one permit: a page that is read in steps must not be refused half made, nor keep
   * what it has made while others are read. Throws ProblemError where it is refused.
   */
  run<T>(owner: string, read: () => Promise<T>): Promise<T> {
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
