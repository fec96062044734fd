import type { Random } from '../../src/demo/random.ts'
import type { SnapshotStore } from '../../src/snapshots/snapshotStore.ts'
import type { Query } from './simulatedReads.ts'

/** Of this share of its writes the database keeps nothing, though it says so: a snapshot may vanish at any time. */
const vanishing = 0.1

/** A node's snapshots in the database it shares with the others. */
export function createSimulatedSnapshots(query: Query, random: Random): SnapshotStore {
  return {
    read: (operation) => query(({ snapshots }) => snapshots.get(operation) ?? null),
    write: ({ operation, text }) =>
      query(({ snapshots }) => {
        if (!random.chance(vanishing)) snapshots.set(operation, text)
      }),
  }
}
