/**
 * Divides the commands that bulk requests may have in hand at once among the keys that send some, and each key's part among
 * its requests: a bulk request is slowed down by the others and never refused for them, and who sends many at once has no
 * more than who sends one. A key that sends alone has all of it.
 */
export interface BulkShare {
  /** `owner`: the key, or without keys the client's address. */
  enter(owner: string): void
  leave(owner: string): void
  /** Commands each running request of the owner may have in hand now; at least 1. */
  commandsMax(owner: string): number
}

export function createBulkShare(limits: {
  readonly bulkCommandsMax: number
  readonly bulkCommandsTotalMax: number
}): BulkShare {
  const running = new Map<string, number>()
  return {
    enter: (owner) => {
      running.set(owner, (running.get(owner) ?? 0) + 1)
    },
    leave: (owner) => {
      const left = (running.get(owner) ?? 1) - 1
      if (left === 0) running.delete(owner)
      else running.set(owner, left)
    },
    commandsMax: (owner) => {
      const requests = Math.max(1, running.size) * (running.get(owner) ?? 1)
      return Math.max(1, Math.min(limits.bulkCommandsMax, Math.floor(limits.bulkCommandsTotalMax / requests)))
    },
  }
}
