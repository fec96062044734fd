import type { JsonObject } from '../operation/json.ts'

/** The read model as queries see it. Built by `createReadModel` (postgresReadModel.ts). Reads throw ReadModelUnavailableError. */
export interface ReadModel {
  /** The operation's row, or null. `position` of the answer is the checkpoint the row was read at. */
  operation(id: string): Promise<ReadAt<OperationRow | null>>

  operations(query: OperationQuery): Promise<ReadAt<readonly OperationRow[]>>

  stats(): Promise<ReadAt<Stats>>

  /** Newest versions of all pipelines, by name. */
  pipelines(): Promise<ReadAt<readonly PipelineRow[]>>

  /** The position the read model is folded up to, as last seen by this node. No round trip. */
  position(): bigint

  /** True once the read model is folded up to `position`; false after `timeoutMs`. Costs no query while it waits. */
  waitFor(position: bigint, timeoutMs: number): Promise<boolean>
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
  /** Position of the operation's last event. */
  readonly position: bigint
  readonly updatedAt: string
  readonly openedAt: string
  /** Set when the operation's stream is parked: the row is not folded beyond `revision - 1`. */
  readonly parked: { readonly revision: bigint; readonly reason: string } | null
}

export interface OperationQuery {
  readonly pipeline?: string
  readonly track?: string
  readonly status?: string
  readonly state?: string
  readonly idPrefix?: string
  readonly theme?: string
  /** Top-level metadata members that must equal these strings. */
  readonly metadata?: Readonly<Record<string, string>>
  /** RFC 3339; exclusive. */
  readonly updatedAfter?: string
  readonly updatedBefore?: string
  readonly sort: '-updatedAt' | 'updatedAt' | 'id' | '-openedAt'
  /** 1 to 1,000. */
  readonly pageSize: number
  /** The last row of the page before: keyset pagination. */
  readonly after?: { readonly value: string; readonly id: string }
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

/** Runs the projections of one log; one at a time projects, fenced by an epoch. */
export interface Projector {
  start(): void
  stop(): Promise<void>
  /** Drops and refolds all rows from the log's beginning. */
  rebuild(): Promise<void>
  /** Milliseconds between an event's `recordedAt` and its row's commit, of the last batch; 0 when caught up. */
  lagMs(): number
  /** Resolves when `position` is projected (or rejects when the projector has stopped). For tests and minPosition. */
  status(): ProjectorStatus
}

export interface ProjectorStatus {
  readonly phase: 'starting' | 'live' | 'waiting' | 'stopped' | 'newer_schema'
  readonly position: bigint
  readonly parked: number
  readonly eventsFolded: number
}

export class ReadModelUnavailableError extends Error {
  override readonly name = 'ReadModelUnavailableError'
}
