import type { Command } from '../operation/commands.ts'
import type { Outcome, Refusal } from '../operation/decision.ts'
import type { HeldReason, IgnoredReason } from '../operation/events.ts'
import type { CompiledPipeline } from '../operation/pipeline.ts'
import type { OperationState } from '../operation/state.ts'

/** From a command to confirmed events. Built by `createCommandService` (groupCommit.ts). */
export interface CommandService {
  /**
   * Decides and appends. Settles only when the outcome is final; never rejects for an expected reason.
   * Bounded: a full queue answers `overloaded` at once, a slow log in time.
   */
  submit(command: Command): Promise<CommandResult>

  /** Defines a pipeline, or finds it unchanged. `definition` is the caller's, not yet checked. */
  definePipeline(command: DefinePipeline): Promise<DefinePipelineResult>

  /** The newest version, or the one asked for; asks the log. Null when there is none. */
  pipeline(name: string, version?: number): Promise<PipelineRecord | null>

  /**
   * An operation as this node's memory has it: confirmed by the log, perhaps behind other nodes. Null when not in memory.
   */
  cached(operation: string): LoadedOperation | null

  /** An operation folded to at least all the log had when the call came. Null when there is none. Throws LogUnavailableError. */
  load(operation: string): Promise<LoadedOperation | null>

  readonly metrics: CommandMetrics

  /** Takes no more commands (`overloaded`), finishes those it has. */
  drain(): Promise<void>
}

export interface LoadedOperation {
  readonly state: OperationState
  /** Position of the operation's last event. */
  readonly position: bigint
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
  /** All but `outcome_unknown` mean: not taken, safe to send again. */
  readonly code: 'overloaded' | 'contention' | 'log_unavailable' | 'outcome_unknown'
  readonly retryAfterS: number
}

export interface DefinePipeline {
  readonly name: string
  readonly definition: unknown
  readonly key: string
  readonly actor: string
  readonly traceparent?: string
  readonly expectedRevision?: bigint
}

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
  readonly batches: () => number
  readonly unknownOutcomes: () => number
  /** Called once a batch with its number of commands and its seconds in the log. */
  onBatch(listener: (commands: number, logSeconds: number) => void): void
}
