import type { RefusedDataError } from './projectionStore.ts'

/**
 * How many events to fold at once after the database has refused a batch: half as many, until one event is left that it
 * refuses. That one's stream is rejected then: parked when the event comes by again, just there, whoever folds it.
 */
export function eventsAfterRefusal({ batch, message }: RefusedDataError, rejected: Map<string, string>): number {
  if (batch.events > 1) return batch.events >> 1
  const [write] = batch.writes
  // No data that a stream could be parked for.
  if (write === undefined || rejected.has(write.stream)) {
    throw new Error(`the database refuses to go past ${batch.to}: ${message}`)
  }
  rejected.set(write.stream, message)
  return 1
}
