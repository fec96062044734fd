/** Runs at most so many tasks at a time, the others in order of arrival. */
export interface Semaphore {
  run<T>(task: () => Promise<T>): Promise<T>
}

export function createSemaphore(permits: number): Semaphore {
  const waiting: (() => void)[] = []
  let taken = 0
  return {
    async run(task) {
      // The permit is handed over by the one that leaves, so that no newcomer slips in between.
      if (taken >= permits) await new Promise<void>((resolve) => waiting.push(resolve))
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
