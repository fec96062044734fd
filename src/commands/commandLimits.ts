/** Every bound of the command service. All are counts, bytes or milliseconds; none may be zero. */
export interface CommandLimits {
  /** Commands taken and not yet answered; one more is answered `overloaded` at once. */
  readonly queuedCommandsMax: number
  /** Approximate bytes of what those commands carry. */
  readonly queuedBytesMax: number
  /** A command that was not sent to the log after this long is answered `overloaded`. */
  readonly waitMsMax: number
  /**
   * A command that was sent and not confirmed after this long is answered `outcome_unknown`. The log bounds its appends
   * by itself, well below this; here is the last resort against an adapter that never settles.
   */
  readonly confirmMsMax: number
  readonly batchCommandsMax: number
  /** UTF-16 units of the batch's event texts, a batch always taking at least one command. */
  readonly batchBytesMax: number
  /** AppendBatcher sent to the log and not yet confirmed. They never share a stream. */
  readonly batchesInFlightMax: number
  /** How often one command may lose its expected revision to another node before it is answered `contention`. */
  readonly conflictsMax: number
  /** Operations read from the log at the same time. */
  readonly loadsMax: number
  /** Operations kept in memory ... */
  readonly cachedOperationsMax: number
  /** ... and their approximate bytes together. */
  readonly cachedBytesMax: number
  /** Pipeline versions kept in memory. */
  readonly cachedPipelinesMax: number
  /** Keys whose receipts are kept per operation; older ones are asked of the log. */
  readonly receiptsMax: number
  /** An operation's snapshot is written after so many of its events; shorter ones have none. */
  readonly snapshotEvery: number
  /** What a 503 says in `Retry-After`, in whole seconds. */
  readonly retryAfterS: number
}

export const defaultCommandLimits: CommandLimits = {
  queuedCommandsMax: 5_000,
  queuedBytesMax: 64 * 1024 * 1024,
  waitMsMax: 10_000,
  confirmMsMax: 60_000,
  batchCommandsMax: 1_000,
  batchBytesMax: 4 * 1024 * 1024,
  batchesInFlightMax: 2,
  conflictsMax: 20,
  loadsMax: 256,
  cachedOperationsMax: 50_000,
  cachedBytesMax: 128 * 1024 * 1024,
  cachedPipelinesMax: 1_000,
  receiptsMax: 100,
  snapshotEvery: 250,
  retryAfterS: 1,
}
