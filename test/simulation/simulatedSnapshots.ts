import type { Random } from '../../src/demo/random.ts'
import type { SnapshotStore } from '../../src/snapshots/snapshotStore.ts'
import type { DatabaseServer } from './database.ts'
import type { Scheduler } from './scheduler.ts'

/** Of this share of its writes the database keeps nothing, though it says so: a snapshot may vanish at any time. */
const vanishing = 0.1

/** A node's snapshots in the database it shares with the others; without it, both calls fail. */
export function createSimulatedSnapshots(
  server: DatabaseServer,
  { scheduler, random }: { readonly scheduler: Scheduler; readonly random: Random },
): SnapshotStore {
  const call = <T>(work: () => T): Promise<T> => {
    const node = scheduler.current
    const fails = scheduler.nowMs < server.downUntilMs || random.chance(server.faults.readFails)
    return new Promise((resolve, reject) => {
      const perform = (): void => {
        if (fails) {
          scheduler.after(server.latencyMs, () => reject(new Error('the database does not answer')), node)
          return
        }
        const value = work()
        scheduler.after(server.latencyMs, () => resolve(value), node)
      }
      scheduler.after(random.exponential(server.latencyMs), perform, server.actor)
    })
  }
  return {
    read: (operation) => call(() => server.snapshots.get(operation) ?? null),
    write: ({ operation, text }) =>
      call(() => {
        if (!random.chance(vanishing)) server.snapshots.set(operation, text)
      }),
  }
}
