import { FairQueue } from './fairQueue.ts'

/**
 * Runs at most so many tasks at a time. Owners whose tasks wait take turns, so that nobody waits for all that another one
 * sent; tasks of one owner, and those that name none, run in order of arrival.
 */
export interface Semaphore {
  run<T>(task: () => Promise<T>, owner?: string): Promise<T>
}

export function createSemaphore(permits: number): Semaphore {
  const waiting = new FairQueue<() => void>()
  let taken = 0
  return {
    async run(task, owner = '') {
      // The permit is handed over by the one that leaves, so that no newcomer slips in between.
      if (taken >= permits) await new Promise<void>((resolve) => waiting.push(owner, resolve))
      else taken += 1
      try {
        return await task()
      } finally {
        const next = waiting.shift()
        if (next === undefined) taken -= 1
        else next()
      }
    },
  }
}
