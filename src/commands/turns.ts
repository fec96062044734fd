/** Tasks of one name run one after the other, in order of arrival; those of different names at the same time. */
export interface Turns {
  take<T>(name: string, task: () => Promise<T>): Promise<T>
}

export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>()
  return {
    take(name, task) {
      const before = last.get(name)
      const turn = before === undefined ? task() : before.then(task, task)
      last.set(name, turn)
      const done = (): void => {
        if (last.get(name) === turn) last.delete(name)
      }
      turn.then(done, done)
      return turn
    },
  }
}
