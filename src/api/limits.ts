/** Bounds of the HTTP edge. Counts, UTF-8 bytes, milliseconds and seconds; docs/configuration.md says how to set them. */
export interface ApiLimits {
  /** A JSON body, and each line of a bulk request. */
  readonly bodyBytesMax: number
  /** Bodies still arriving, together. */
  readonly arrivingBytesMax: number
  /** Large answers of reads that their readers have not taken yet, together: beyond it reads are answered `overloaded`. */
  readonly answersBytesMax: number
  /** From a request's headers to the last byte of a JSON body. */
  readonly bodyArrivalMsMax: number
  /** From the first byte of a request to the end of its headers. */
  readonly headersArrivalMsMax: number
  /** A bulk upload without a byte, or a bulk or large answer nobody reads, is ended after this. */
  readonly bulkIdleMsMax: number
  /** A request that was not begun for so long, as others were before it, is answered `overloaded` (requestScheduler.ts). */
  readonly requestLineMsMax: number
  /** Commands of one bulk request in hand at once. */
  readonly bulkCommandsMax: number
  /** The same of all bulk requests together: below the queue of commands, so that bulk never answers `overloaded`. */
  readonly bulkCommandsTotalMax: number
  /** Lines and results of one bulk request in hand at once. */
  readonly bulkBytesMax: number
  /** Results of all bulk requests that their clients have not read, together: beyond it no further lines are read. */
  readonly bulkUnreadBytesMax: number
  readonly jsonDepthMax: number
  readonly pageSizeMax: number
  /** A page ends early at this size. */
  readonly pageBytesMax: number
  /** Pipelines of one log. */
  readonly pipelinesMax: number
  /** How long a read waits for `minPosition` when it does not say. */
  readonly waitSDefault: number
  readonly waitSMax: number
  readonly connectionsMax: number
  /** Reads of lists and counts in hand at once: one more is answered `overloaded`. */
  readonly readsMax: number
  /** Requests of one key in one second, on this node; 0: any number. */
  readonly requestsPerSMax: number
  /** Live streams at once. */
  readonly streamsMax: number
  /** What a live stream's reader may leave standing; with more it is cut off, to come back and resume. */
  readonly streamQueuedBytesMax: number
  /** A live stream says at least so often that it is there, and how far it has come. */
  readonly streamHeartbeatS: number
  /** A reader whose stream has ended is asked to come back after so long, or up to three times as long, by chance. */
  readonly streamRetryMs: number
  /** Requests that wait for an operation (`until`) at once. */
  readonly waitsMax: number
}

export const defaultApiLimits: ApiLimits = {
  bodyBytesMax: 768 * 1024,
  arrivingBytesMax: 256 * 1024 * 1024,
  answersBytesMax: 128 * 1024 * 1024,
  bodyArrivalMsMax: 30_000,
  headersArrivalMsMax: 10_000,
  requestLineMsMax: 10_000,
  bulkIdleMsMax: 30_000,
  bulkCommandsMax: 2_000,
  bulkCommandsTotalMax: 2_500,
  bulkBytesMax: 8 * 1024 * 1024,
  bulkUnreadBytesMax: 64 * 1024 * 1024,
  jsonDepthMax: 32,
  pageSizeMax: 1_000,
  pageBytesMax: 16 * 1024 * 1024,
  pipelinesMax: 10_000,
  waitSDefault: 5,
  waitSMax: 60,
  // More than the waits and the streams, which hold one each: who reports must get in as well.
  connectionsMax: 20_000,
  readsMax: 200,
  requestsPerSMax: 0,
  streamsMax: 5_000,
  streamQueuedBytesMax: 1024 * 1024,
  streamHeartbeatS: 15,
  streamRetryMs: 1_000,
  waitsMax: 10_000,
}
