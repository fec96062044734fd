/** Runs at most so many tasks at a time, the others in order of arrival. */
export interface Slots {
  run<T>(task: () => Promise<T>): Promise<T>
}

export function createSlots(slotsMax: number): Slots {
  const line: (() => void)[] = []
  let taken = 0
  return {
    async run(task) {
      // The slot is handed over by the one that leaves, so that no newcomer slips in between.
      if (taken >= slotsMax) await new Promise<void>((resolve) => line.push(resolve))
      else taken += 1
      try {
        return await task()
      } finally {
        const next = line.shift()
        if (next === undefined) taken -= 1
        else next()
      }
    },
  }
}
