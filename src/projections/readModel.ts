import type { JsonObject } from '../operation/json.ts'
import type { ChangedOperation } from './queries/changedOperations.ts'
import type { OldestInStatus } from './queries/oldestInStatus.ts'

/** The read model as queries see it (postgresReadModel.ts). Reads throw ReadModelUnavailableError. */
export interface ReadModel {
  /**
   * The operation's row, or null. `position` of the answer is the checkpoint the row was read at. A stream may be parked from
   * its first event on: then `parked` says so, and there is no row.
   */
  operation(id: string): Promise<ReadAt<OperationRow | null> & Pick<OperationRow, 'parked'>>

  /** The rows of these operations (1,000 at most), in no order, all as they are at one checkpoint; those without a row are left out. */
  operationsById(ids: readonly string[]): Promise<ReadAt<readonly ChangedOperation[]>>

  /** One page, in the order asked for; ties are ordered by id. Fewer rows than `pageSize` mean that there are no more. */
  operations(query: OperationQuery): Promise<ReadAt<readonly OperationRow[]>>

  stats(): Promise<ReadAt<Stats>>

  /** One entry for each pipeline, track and status that an active operation is in. */
  oldestInStatus(): Promise<ReadAt<readonly OldestInStatus[]>>

  /**
   * Newest versions of pipelines, in order of their names, at most `maxCount` (1 to 1,000), after the name `after`. Without
   * the built-in `any`. A definition can be a megabyte.
   */
  pipelines(maxCount: number, after?: string): Promise<ReadAt<readonly PipelineRow[]>>

  /** How many pipelines there are; of very many: `countMax`. */
  pipelineCount(countMax: number): Promise<ReadAt<number>>

  /** The streams that are set aside, by name, at most `maxCount` (1 to 1,000), after the stream `after`. */
  parkedStreams(maxCount: number, after?: string): Promise<ReadAt<readonly ParkedStream[]>>

  /** Null when the stream is not set aside. */
  parkedStream(stream: string): Promise<ReadAt<ParkedStream | null>>

  /** The position the read model is folded up to. One constant statement, whatever is stored. */
  checkpoint(): Promise<bigint>

  /** The position the read model is folded up to, as last seen by this node. No round trip. */
  position(): bigint

  /**
   * True once the read model is folded up to `position`; false after `timeoutMs`. Costs no query while this node
   * projects; otherwise one poll, shared by all who wait, asks for the checkpoint every 20 ms.
   */
  waitFor(position: bigint, timeoutMs: number): Promise<boolean>

  /** Ends its connections; reads under way finish first. */
  close(): Promise<void>
}

export interface ReadAt<T> {
  readonly value: T
  /** The checkpoint the value was read at, in the same snapshot. */
  readonly position: bigint
}

export interface OperationRow {
  readonly id: string
  /** The answer of `GET /v1/operations/{id}` without `position`, as JSON text ready to send (operation/view.ts). */
  readonly body: string
  readonly revision: bigint
  /** Of its last event that was more than an ignored report that filled nothing. */
  readonly changedRevision: bigint
  /** Position of the operation's last event. */
  readonly position: bigint
  readonly updatedAt: string
  readonly openedAt: string
  /** In a list in order of `since`: what it is ordered by (`since_at` in migrations/0005_standings.sql). */
  readonly sinceMs?: number
  /** Set when the operation's stream is parked: the row is folded up to the event before `revision`, and no further. */
  readonly parked: { readonly revision: bigint; readonly reason: string } | null
}

/** Any of them. */
export type OneOrMore<T> = T | readonly T[]

export interface OperationQuery {
  readonly pipeline?: OneOrMore<string>
  /** With `status`: the status of this track. Alone: operations that have a track of this name. */
  readonly track?: string
  /** Without `track`: of any of the operation's tracks. */
  readonly status?: OneOrMore<string>
  readonly state?: OneOrMore<string>
  readonly idPrefix?: string
  readonly theme?: string
  /** Top-level metadata members that must equal these strings; numbers and booleans are compared as JSON writes them. */
  readonly metadata?: Readonly<Record<string, string>>
  /** RFC 3339; exclusive. */
  readonly updatedAfter?: string
  readonly updatedBefore?: string
  /**
   * RFC 3339; exclusive. When the track got the status in which it stands: `track`, else the pipeline's default one. A track
   * without a status never matches.
   */
  readonly sinceAfter?: string
  readonly sinceBefore?: string
  /** RFC 3339; exclusive. No report on any track was recorded at that time or later. */
  readonly heardBefore?: string
  /** Whether reports are held. */
  readonly held?: boolean
  readonly blocked?: boolean
  /** At least one track has failed, whatever the state. */
  readonly anyTrack?: 'failed'
  readonly sort: SortOrder
  /** 1 to 1,000. */
  readonly pageSize: number
  /** The last row of the page before: keyset pagination. `value` is what `placeValue` gives for it. */
  readonly after?: { readonly value: string; readonly id: string }
}

/** `since`: the longest in its status first; last those that have none, in the order in which they were opened. */
export type SortOrder = '-updatedAt' | 'updatedAt' | 'id' | '-openedAt' | 'since'

/** What a row has in the order of a list. */
export function placeValue(
  sort: SortOrder,
  row: Pick<OperationRow, 'id' | 'openedAt' | 'updatedAt' | 'sinceMs'>,
): string {
  switch (sort) {
    case 'id':
      return row.id
    case '-openedAt':
      return row.openedAt
    case 'since':
      return String(row.sinceMs)
    default:
      return row.updatedAt
  }
}

export interface Stats {
  readonly pipelines: Readonly<
    Record<
      string,
      {
        readonly operations: number
        readonly states: Readonly<Record<string, number>>
        readonly tracks: Readonly<Record<string, Readonly<Record<string, number>>>>
      }
    >
  >
  readonly parked: number
}

export interface PipelineRow {
  readonly name: string
  readonly version: number
  readonly definition: JsonObject
  readonly definedAt: string
}

/** Why a stream is parked whose hash chain is broken. Neither a skip nor a retry takes it away. */
export const tamperedReason = 'tampered'

/** A stream that could not be folded; the events from `revision` on are not in the read model. */
export interface ParkedStream {
  readonly stream: string
  readonly revision: bigint
  readonly position: bigint
  readonly reason: string
  readonly detail: string
}

/**
 * Folds the log into the read model. Any number of nodes may run one: an advisory lock lets one of them project, the
 * others wait to take over; the epoch in the checkpoint keeps out one that lost its lock without noticing.
 */
export interface Projector {
  start(): void
  /** Finishes the batch under way and lets go of the lock. */
  stop(): Promise<void>
  /**
   * Folds the log from its beginning into other tables, which then take the place of those in use. Reads, and the
   * projection itself, go on meanwhile; they wait for a fraction of a second at the swap. Resolves once reads see the new
   * rows. Joins a rebuild that is under way.
   *
   * Rejects, and the rows are what they were: when this node is not the one that projects, or no longer (whoever projects
   * then resumes the rebuild), when the rebuild failed, or when `signal` aborted.
   */
  rebuild(options?: RebuildOptions): Promise<void>
  /** Told by the node's control worker what an operator wants; the checkpoint itself is what decides (session.ts). */
  hold(paused: boolean): void
  /**
   * The revision of an operation's row, without asking the database: known on the node that projects, of operations that it
   * has folded lately and that nothing is wrong with. The row has at most this revision at `position`, and is not parked.
   */
  folded(operation: string): ReadAt<bigint> | null
  /** Age in milliseconds of the oldest event known to be in the log and not yet in the read model; 0 when there is none. */
  lagMs(): number
  status(): ProjectorStatus
}

export interface RebuildOptions {
  /** Told several times a second. */
  readonly onProgress?: (progress: RebuildProgress) => void
  /** Abandons the rebuild and drops what it has folded; not one that an older fold's rows need, which goes on. */
  readonly signal?: AbortSignal
}

export interface RebuildProgress {
  /** `indexing` takes minutes for millions of operations. `swapping`: waits until nobody has a long read under way. */
  readonly stage: 'folding' | 'indexing' | 'swapping'
  /** Position up to which the log is projected anew. */
  readonly done: bigint
  /** Of the log, as last seen. */
  readonly head: bigint
  /** On average since this node took the rebuild up. */
  readonly eventsPerS: number
}

/**
 * `waiting`: another node projects. `rebuilding`: the rows are of an older fold; reads see them as they are, with their
 * position, until they are projected anew. `retrying`: the log or the database failed; back-off. `newer_schema`: met an event of
 * a schema version this node does not know; it stops, and lets a newer node take over. `log_behind`: the log ends before
 * the checkpoint (it lost events, or is a copy of an older one): nothing is folded until an operator has seen to it.
 * `paused`: this node would project, and an operator has paused the projection.
 */
export type ProjectorPhase =
  | 'starting'
  | 'live'
  | 'paused'
  | 'waiting'
  | 'rebuilding'
  | 'retrying'
  | 'stopped'
  | 'newer_schema'
  | 'log_behind'

export interface ProjectorStatus {
  readonly phase: ProjectorPhase
  /** Up to which the read model is folded, as far as this node knows. */
  readonly position: bigint
  /** Streams set aside, as last seen by this node's projector. */
  readonly parked: number
  /** Of those, the ones whose hash chain is broken. */
  readonly tampered: number
  /** Whether an operator has paused the projection, on whichever node, as last heard of by this one. */
  readonly paused: boolean
  /** By this node, since it started. */
  readonly eventsFolded: number
  readonly batches: number
  /** Of the rebuild that this node is about; null when there is none. */
  readonly rebuild: RebuildProgress | null
  /** Why it is retrying, or what stopped it; null when all is well. */
  readonly error: string | null
}

/** Where the projector says what an operator should know. A pino logger fits. */
export interface ProjectionLogger {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** The rebuild was not begun: this node does not project now, or is at one already. Asked again later it may be. */
export class RebuildNotBegunError extends Error {
  override readonly name = 'RebuildNotBegunError'
}

export class ReadModelUnavailableError extends Error {
  override readonly name = 'ReadModelUnavailableError'
}
