import type { Command } from '../operation/commands.ts'
import type { Outcome, Refusal } from '../operation/decision.ts'
import type { HeldReason, IgnoredReason, ProjectionEvent } from '../operation/events.ts'
import type { CompiledPipeline } from '../operation/pipeline.ts'
import type { OperationState } from '../operation/state.ts'
import type { FairShareCounts } from '../runtime/fairShare.ts'
import type { BatchListener } from './appendBatcher.ts'
import type { KeyReuseCounts } from './keyReuse.ts'
import type { Receipt } from './receipts.ts'
import type { ReportCount } from './reportCounts.ts'

/**
 * From a command to confirmed events. Built by `createCommandService({ log, clock, limits?, logger? })` (createCommandService.ts).
 *
 * Naming a pipeline (or a version of one) that is not defined is refused with `not_found`, its detail naming the pipeline.
 */
export interface CommandService {
  /**
   * Decides and appends. Settles only when the outcome is final; never rejects for an expected reason.
   * Bounded: a full queue answers `overloaded` at once, a slow log in time.
   *
   * Commands of one operation are decided in the order they were submitted; nothing is promised across operations.
   * `group` ties commands whose order matters, as the lines of a bulk request do: once one of them failed (refusals
   * do not count), its later ones on the same operation fail with `not_tried`. So a caller may submit them all without
   * waiting for each answer.
   *
   * `owner`: whose share of the queue the command uses; default: its actor. Owners that have commands waiting take turns,
   * and when the queue is full the one with the most of them makes room for the others.
   */
  submit(command: Command, group?: CommandGroup, owner?: string): Promise<CommandResult>

  /** Defines a pipeline, or finds it unchanged. `definition` is the caller's, not yet checked. */
  definePipeline(command: DefinePipeline): Promise<DefinePipelineResult>

  /** Records what an operator does to a projection. Rejects with what `check` rejected with, and then has recorded nothing. */
  intervene(command: Intervene): Promise<InterveneResult>

  /** The newest version, or the one asked for; asks the log. Null when there is none. */
  pipeline(name: string, version?: number): Promise<PipelineRecord | null>

  /**
   * An operation as this node's memory has it: confirmed by the log, perhaps behind other nodes. Null when not in memory.
   */
  cached(operation: string): LoadedOperation | null

  /** An operation folded to at least all the log had when the call came. Null when there is none. Throws LogUnavailableError, or UnreadableStreamError. */
  load(operation: string): Promise<LoadedOperation | null>

  /**
   * What became of the command that appended under a key, asked of the log. Null when none did. Throws LogUnavailableError, or
   * UnreadableStreamError.
   */
  outcome(operation: string, key: string): Promise<CommandOutcome | null>

  readonly metrics: CommandMetrics

  /** Takes no more commands (`overloaded`), finishes those it has. */
  drain(): Promise<void>
}

/** Make one per bulk request: `{ failed: new Map() }`. The service adds the operations of its failed commands. */
export interface CommandGroup {
  /** By operation: the arrival of the first of them that failed. What came before it is tried all the same. */
  readonly failed: Map<string, number>
}

export interface LoadedOperation {
  readonly state: OperationState
  /** Position of the operation's last event. */
  readonly position: bigint
}

export interface CommandOutcome {
  /** What the command was answered, and is answered again. */
  readonly receipt: Receipt
  /** Of a report that was held what it has come to by now, `held` while it waits; null for all others. */
  readonly now: {
    readonly outcome: Outcome
    readonly reason?: IgnoredReason | HeldReason
    readonly revision: bigint
    readonly position: bigint
  } | null
}

export type CommandResult =
  | {
      readonly kind: 'accepted'
      readonly operation: string
      readonly key: string
      readonly outcome: Outcome
      readonly reason?: IgnoredReason | HeldReason
      readonly opened: boolean
      /** Of the last event appended; the current one when nothing was. */
      readonly revision: bigint
      readonly position: bigint
    }
  | { readonly kind: 'refused'; readonly operation: string; readonly key: string; readonly refusal: Refusal }
  | { readonly kind: 'failed'; readonly operation: string; readonly key: string; readonly failure: CommandFailure }

export interface CommandFailure {
  /**
   * All but `outcome_unknown` mean: not taken, safe to send again.
   * - `outcome_unknown`: sent to the log, not known to have landed; sending it again with the same key finds out.
   * - `not_tried`: an earlier command of its group, on the same operation, failed.
   * - `unreadable`: the operation's stream holds an event that this node cannot fold. Nothing a caller did (HTTP 500).
   * - `tampered`: its hash chain is broken, or that of its pipeline's stream. As `unreadable` otherwise.
   */
  readonly code:
    | 'overloaded'
    | 'contention'
    | 'log_unavailable'
    | 'outcome_unknown'
    | 'not_tried'
    | 'unreadable'
    | 'tampered'
  readonly retryAfterS: number
}

export interface DefinePipeline {
  readonly name: string
  readonly definition: unknown
  readonly key: string
  readonly actor: string
  readonly traceparent?: string
  readonly expectedRevision?: bigint
  /**
   * Asked before the first version of a pipeline is appended. Rejects when there must not be one more, and then nothing is:
   * `definePipeline` rejects with the same.
   */
  readonly admit?: () => Promise<void>
}

export interface Intervene {
  readonly projection: string
  readonly event: ProjectionEvent
  readonly key: string
  readonly actor: string
  readonly traceparent?: string
  /**
   * Rejects when it must not be recorded. Asked anew whenever another intervention came between; `position` is that of the
   * last one (0n: there is none), which the answer must take into account. Not asked for a key that was recorded already.
   */
  readonly check: (position: bigint) => Promise<void>
}

export type InterveneResult =
  | { readonly kind: 'recorded'; readonly revision: bigint; readonly position: bigint; readonly key: string }
  | { readonly kind: 'refused'; readonly refusal: Refusal; readonly key: string }
  | { readonly kind: 'failed'; readonly failure: CommandFailure; readonly key: string }

export interface PipelineRecord {
  readonly pipeline: CompiledPipeline
  readonly definedAt: string | null
  readonly revision: bigint | null
  readonly position: bigint
}

export interface DefinitionError {
  /** JSON pointer into the definition as it was sent. */
  readonly pointer: string
  readonly detail: string
}

export type DefinePipelineResult =
  | { readonly kind: 'defined' | 'unchanged'; readonly record: PipelineRecord; readonly key: string }
  | { readonly kind: 'invalid'; readonly errors: readonly DefinitionError[]; readonly key: string }
  | { readonly kind: 'refused'; readonly refusal: Refusal; readonly key: string }
  | { readonly kind: 'failed'; readonly failure: CommandFailure; readonly key: string }

export interface CommandMetrics {
  /** Commands taken and not yet answered. */
  readonly inFlight: () => number
  /** One more is answered `overloaded`. */
  readonly inFlightMax: number
  /** The same commands and their bytes as they are shared among owners (fairShare.ts). */
  readonly queued: () => { readonly commands: FairShareCounts; readonly bytes: FairShareCounts }
  /** Answers to reports since the start, one given again under the same key included. */
  readonly reports: () => Iterable<ReportCount>
  readonly batches: () => number
  readonly unknownOutcomes: () => number
  /** Times that a stream could not be read for its commands. */
  readonly unreadable: () => number
  /** Commands and definitions refused as `key_reused`, by who had used the key. */
  readonly keyReuse: () => KeyReuseCounts
  onBatch(listener: BatchListener): void
}

/** A stream holds an event that this node cannot decode or fold. Its cause is a TamperedError when that is why. */
export class UnreadableStreamError extends Error {
  override readonly name = 'UnreadableStreamError'
}
