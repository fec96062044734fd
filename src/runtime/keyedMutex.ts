/** Tasks of one key run one after the other, in order of arrival; those of different keys at the same time. */
export interface KeyedMutex {
  run<T>(key: string, task: () => Promise<T>): Promise<T>
}

export function createKeyedMutex(): KeyedMutex {
  const last = new Map<string, Promise<unknown>>()
  return {
    run(key, task) {
      const before = last.get(key)
      const running = before === undefined ? task() : before.then(task, task)
      last.set(key, running)
      const done = (): void => {
        if (last.get(key) === running) last.delete(key)
      }
      running.then(done, done)
      return running
    },
  }
}
