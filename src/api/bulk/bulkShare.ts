/**
 * Divides the commands that bulk requests may have in hand at once among those that are running, so that a bulk request
 * is slowed down by the others and never refused for them.
 */
export interface BulkShare {
  enter(): void
  leave(): void
  /** Commands each running request may have in hand now; at least 1. */
  commandsMax(): number
}

export function createBulkShare(limits: {
  readonly bulkCommandsMax: number
  readonly bulkCommandsTotalMax: number
}): BulkShare {
  let running = 0
  return {
    enter: () => {
      running += 1
    },
    leave: () => {
      running -= 1
    },
    commandsMax: () =>
      Math.max(1, Math.min(limits.bulkCommandsMax, Math.floor(limits.bulkCommandsTotalMax / Math.max(1, running)))),
  }
}
