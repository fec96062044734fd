/** Keeps the last snapshot of each long operation, as a text whose meaning is its writer's. Everything in it may vanish at any time. */
export interface SnapshotStore {
  /** The text last written for the operation, byte for byte; null: there is none, or it is of another log, or damaged. Rejects when the store does not answer. */
  read(operation: string): Promise<string | null>

  /** Replaces what was there: an older one is as true as a newer one. Rejects when the store does not answer. */
  write(snapshot: Snapshot): Promise<void>
}

export interface Snapshot {
  readonly operation: string
  /** Of the last event in it. */
  readonly revision: bigint
  readonly text: string
}
