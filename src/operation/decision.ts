import type { HeldReason, IgnoredReason, OperationEvent } from './events.ts'
import type { OperationLimits } from './limits.ts'
import type { CompiledPipeline } from './pipeline.ts'
import type { OperationState } from './state.ts'

/** An event decided but not yet in its envelope. */
export interface DecidedEvent {
  readonly event: OperationEvent
  /** JSON text of the event's data, as it will be stored. */
  readonly dataText: string
  /** Its UTF-8 bytes. */
  readonly dataBytes: number
  /** The key it is recorded under: the command's, or a released report's own. */
  readonly key: string
  readonly requestHash: string
  readonly actor: string
  readonly traceparent?: string
  /** n of `eventId(stream, key, n)`: how many events the stream holds under `key` before this one. */
  readonly keyIndex: number
}

export type Outcome = 'opened' | 'applied' | 'ignored' | 'held'

export type RefusalCode =
  | 'forbidden'
  | 'not_found'
  | 'operation_exists'
  | 'pipeline_mismatch'
  | 'unknown_status'
  | 'transition_not_allowed'
  | 'requirement_unmet'
  | 'unreachable'
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

export interface AcceptedDecision {
  readonly kind: 'accepted'
  readonly outcome: Outcome
  readonly reason?: IgnoredReason | HeldReason
  /** True when this command opened the operation (201). */
  readonly opened: boolean
  /** Empty when nothing is to be appended (ignored, with `recordIgnored: false`). */
  readonly events: readonly DecidedEvent[]
  /** The state after the events, not yet with their hash: `encode` gives the state to keep. */
  readonly state: OperationState
}

export type Decision = AcceptedDecision | { readonly kind: 'refused'; readonly refusal: Refusal }

/** What the decider may ask beyond the command. */
export interface DecideContext {
  /** Null when there is no such operation. */
  readonly state: OperationState | null
  /** The pipeline the command would open the operation with; null when it names none, or none of that name and version is defined. */
  readonly pipeline: CompiledPipeline | null
  /** The node's clock, RFC 3339 UTC with milliseconds. Events get this as `recordedAt`, or their predecessor's if that is later. */
  readonly now: string
  readonly limits: OperationLimits
}

export interface ReceiptOutcome {
  readonly outcome: Outcome
  readonly reason?: IgnoredReason | HeldReason
  readonly opened: boolean
}

/**
 * What a command was answered, from the events of its append that are recorded under its own key, in order: a receipt
 * read back from the log says the same as the first answer did. Throws when there are none.
 */
export function receiptOutcome(events: readonly OperationEvent[]): ReceiptOutcome {
  const opened = events[0]?.type === 'OperationOpened'
  const report = events[opened ? 1 : 0]
  switch (report?.type) {
    case 'StatusChanged':
    case 'DataMerged':
      return { outcome: 'applied', opened }
    case 'ReportHeld':
      return { outcome: 'held', reason: report.data.reason, opened }
    case 'ReportIgnored':
      return { outcome: 'ignored', reason: report.data.reason, opened }
    case 'OperationDescribed':
      return { outcome: 'opened', opened }
    default:
      if (!opened) throw new Error('no event of the command')
      return { outcome: 'opened', opened }
  }
}
