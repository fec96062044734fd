import type { HeldReason, IgnoredReason, OperationEvent } from './events.ts'
import type { CompiledPipeline } from './pipeline.ts'
import type { OperationState } from './state.ts'

/** An event decided but not yet in its envelope. */
export interface DecidedEvent {
  readonly event: OperationEvent
  /** The key it is recorded under: the command's, or a released report's own. */
  readonly key: string
  readonly requestHash: string
  readonly actor: string
  readonly traceparent?: string
  /** n of UUIDv5(stream, key, n): how many events the stream holds under `key` before this one. */
  readonly keyIndex: number
}

export type Outcome = 'opened' | 'applied' | 'ignored' | 'held'

export type RefusalCode =
  | 'not_found'
  | 'operation_exists'
  | 'pipeline_mismatch'
  | 'unknown_status'
  | 'transition_not_allowed'
  | 'requirement_unmet'
  | 'held_full'
  | 'revision_mismatch'
  | 'key_reused'
  | 'too_large'
  | 'invalid'

export interface Refusal {
  readonly code: RefusalCode
  /** One sentence for a person. Holds nothing of the documents. */
  readonly detail: string
  /** Where the command stands against the operation, for those codes that say so (409): */
  readonly track?: string
  readonly currentStatus?: string | null
  readonly allowedStatuses?: readonly string[]
  /** The operation's revision when it was refused; undefined when there is no operation. */
  readonly revision?: bigint
}

export type Decision =
  | {
      readonly kind: 'accepted'
      readonly outcome: Outcome
      readonly reason?: IgnoredReason | HeldReason
      /** True when this command opened the operation (201). */
      readonly opened: boolean
      /** Empty when nothing is to be appended (`duplicate`, or ignored with `recordIgnored: false`). */
      readonly events: readonly DecidedEvent[]
    }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

/** What the decider may ask beyond the operation's state. */
export interface DecideContext {
  /** Null when there is no such operation. */
  readonly state: OperationState | null
  /** The pipeline the command would open the operation with; null when it names none, or none of that name and version is defined. */
  readonly pipeline: CompiledPipeline | null
  /** `recordedAt` the events will get, used by the fold of a chain; RFC 3339 UTC. */
  readonly now: string
}
