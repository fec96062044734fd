import type { ChangedOperation } from '../../projections/queries/changedOperations.ts'

/**
 * What the reader of a stream that catches up may hold: operations as they stood at `since`, or later. What stopped matching
 * after that must be told to have left. Null: it holds nothing yet.
 */
export interface Holdings {
  since: bigint | null
}

export function mayHold({ since }: Holdings, { changedAt }: ChangedOperation): boolean {
  return since !== null && changedAt > since
}
