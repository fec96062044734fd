/**
 * The port to the log of record. An adapter translates its store's errors into the outcomes below; no store's word
 * leaks out. One contract suite (test/contract/eventLogContract.ts) holds for every adapter.
 */
export interface EventLog {
  /** UUID of this log. A copy has another, and so has a restored log after `waybill new-log-id`: positions of another log mean nothing here. */
  readonly logId: string

  /** About how many positions one event takes up, where they are places in the store's files. Undefined: they are counted. */
  readonly positionsPerEvent?: number

  /**
   * Appends a batch and settles once every outcome is final: durable, refused, or unknown for good.
   *
   * - Atomic per request: its events go in together or not at all. Requests of different streams never fail each other.
   * - Requests of one stream in one batch form a chain, in order, each expecting what the one before leaves behind.
   *   When a link is not appended, every later link of that stream comes back `untried`.
   * - A request without events checks the expected revision and appends nothing.
   * - The caller may have two batches in flight only if they share no stream.
   * - Never rejects for an expected reason; rejects only for a bug.
   */
  append(batch: readonly AppendRequest[]): Promise<readonly AppendOutcome[]>

  /** A stream's events, at most `maxCount` (1 to 1,000), as they are at the call. Empty when the stream does not exist or has no more. */
  readStream(stream: string, options: ReadStreamOptions): Promise<readonly RecordedEvent[]>

  /** The events of a stream whose id is given, or null: finds old duplicates, at any age. */
  readEvent(stream: string, id: string): Promise<RecordedEvent | null>

  /** The whole log in order of position, strictly after `after` (0n: from the beginning), at most `maxCount` (1 to 10,000). */
  readAll(options: ReadAllOptions): Promise<readonly RecordedEvent[]>

  /**
   * Follows the log from strictly after `after` for ever, in batches of at most `maxCount`, each event once and in order.
   * Ends when `signal` aborts; survives a lost connection (own back-off), and rejects only when the log is another one.
   */
  subscribe(options: SubscribeOptions): AsyncIterable<readonly RecordedEvent[]>

  /** Position of the last event; 0n for an empty log. */
  head(): Promise<bigint>

  close(): Promise<void>
}

export interface EventToAppend {
  /** UUID, unique in the log: who appends sees to it that two streams never share one. */
  readonly id: string
  readonly type: string
  /** JSON text; stored byte for byte. */
  readonly data: string
  /** JSON text; stored byte for byte. */
  readonly metadata: string
}

export interface AppendRequest {
  readonly stream: string
  /** Revision of the stream's last event, or `noStream` when it must not exist. */
  readonly expectedRevision: bigint | 'noStream'
  readonly events: readonly EventToAppend[]
}

export type AppendOutcome =
  /** On disk. `revision` and `position` are those of the request's last event (for a check: the stream's current ones; position 0n if not known, revision -1n when there is no stream, as expected). */
  | { readonly kind: 'appended'; readonly revision: bigint; readonly position: bigint }
  /** Not appended: the stream stands elsewhere. `actualRevision` is null when there is no stream. */
  | { readonly kind: 'conflict'; readonly actualRevision: bigint | null }
  /**
   * Not appended: an event of that id is in the log already. A store without an index of ids (EventStoreDB) finds those of
   * the request's own chain only: who decides has asked `readEvent`, after learning the revision it expects.
   */
  | { readonly kind: 'duplicate' }
  /** Not appended: an earlier link of the chain was not. */
  | { readonly kind: 'untried' }
  /** Not appended: more than `appendBytesMax`, or a value the store cannot hold. */
  | { readonly kind: 'rejected'; readonly reason: 'too_large' | 'invalid' }
  /** Not appended, and never will be: the log cannot be reached or is too slow. Safe to send again. */
  | { readonly kind: 'unavailable' }
  /** Sent, and not known to have been appended. Said only when nothing can land any more, where the store allows that. */
  | { readonly kind: 'unknown' }

/** Largest append, in UTF-8 bytes of type, data and metadata of its events together, on every store (correctness.md row 10). */
export const appendBytesMax = 1_000_000

export interface RecordedEvent {
  readonly stream: string
  /** 0-based index in its stream. */
  readonly revision: bigint
  /** Place in the whole log, above 0n; later is greater, gaps mean nothing. */
  readonly position: bigint
  readonly id: string
  readonly type: string
  /** JSON text, byte for byte as appended. */
  readonly data: string
  /** JSON text, byte for byte as appended. */
  readonly metadata: string
}

export interface ReadStreamOptions {
  /** First revision to return. Default: 0n forwards, the last one backwards. */
  readonly fromRevision?: bigint
  readonly direction?: 'forwards' | 'backwards'
  readonly maxCount: number
  /** Ends before the event with which data and metadata would come to more UTF-8 bytes. Default: any number of them. */
  readonly bytesMax?: number
}

export interface ReadAllOptions {
  /** 0n or an event's position. Any other is taken as well where positions are counted, and may be refused where not. */
  readonly after: bigint
  readonly maxCount: number
}

export interface SubscribeOptions {
  /** As of `ReadAllOptions`. */
  readonly after: bigint
  readonly maxCount: number
  readonly signal: AbortSignal
}

/** Where an adapter reports what its callers cannot see: reconnections, refusals. A pino logger is one. */
export interface EventLogLogger {
  info(details: object, message: string): void
  warn(details: object, message: string): void
  error(details: object, message: string): void
}

/** The log cannot be read now. Thrown by reads only: an append says so in its outcomes. */
export class LogUnavailableError extends Error {
  override readonly name = 'LogUnavailableError'
}

/** The log has moved to another store, or is a copy that is not finished: it takes no appends. Thrown when it is opened. */
export class LogNotOpenError extends Error {
  override readonly name = 'LogNotOpenError'

  constructor(state: 'importing' | 'closed') {
    super(
      state === 'closed'
        ? 'This log was closed because it has been copied, or is being copied, to another store: use that one. ' +
            'If the copy was given up: waybill copy-log --reopen.'
        : 'This log is an unfinished copy. Run waybill copy-log again.',
    )
  }
}

/** The store holds another log than the one opened: every position, checkpoint and cache is void. */
export class AnotherLogError extends Error {
  override readonly name = 'AnotherLogError'
}
