import type { Fault, ProblemCode, ProblemDocument, RecordedEvent } from './contract.ts'

interface CommandFate {
  /** The command's idempotency key: send again with it to find out. Absent for reads. */
  readonly command?: string | undefined
  /** How often the request was sent. */
  readonly attempts: number
  /** True when the command may be in the log all the same, or may still get there. */
  readonly mayHaveLanded: boolean
}

/** What every failed call rejects with, but one that was aborted: that rejects with the signal's reason. */
export abstract class WaybillError extends Error {
  abstract readonly code: string
  readonly command: string | undefined
  readonly attempts: number
  readonly mayHaveLanded: boolean

  constructor(message: string, fate: CommandFate, options?: ErrorOptions) {
    super(message, options)
    this.command = fate.command
    this.attempts = fate.attempts
    this.mayHaveLanded = fate.mayHaveLanded
  }
}

/** The service answered with a problem (RFC 9457). */
export class WaybillProblem extends WaybillError {
  override readonly name = 'WaybillProblem'
  readonly code: ProblemCode
  /** The HTTP status; in bulk, the line's. */
  readonly status: number
  readonly detail: string
  /** What is wrong with the request, place by place. */
  readonly errors: readonly Fault[]
  readonly operation: string | undefined
  readonly track: string | undefined
  readonly currentStatus: string | null | undefined
  readonly allowedStatuses: readonly string[] | undefined
  /** The operation's actual revision. */
  readonly revision: number | undefined
  /** `revision_mismatch`: what happened since the revision that was expected. */
  readonly events: readonly RecordedEvent[] | undefined
  /** The whole answer. */
  readonly problem: ProblemDocument

  constructor(problem: ProblemDocument, fate: CommandFate) {
    super(`${problem.code} (${problem.status}): ${problem.detail}`, fate)
    this.problem = problem
    this.code = problem.code
    this.status = problem.status
    this.detail = problem.detail
    this.errors = problem.errors ?? []
    this.operation = problem.operation
    this.track = problem.track
    this.currentStatus = problem.currentStatus
    this.allowedStatuses = problem.allowedStatuses
    this.revision = problem.revision
    this.events = problem.events
  }
}

/** No answer that could be read came in time: a lost connection, silence, or an answer that is not Waybill's. */
export class WaybillUnanswered extends WaybillError {
  override readonly name = 'WaybillUnanswered'
  readonly code = 'unanswered'
}

/**
 * Not sent again: an earlier command of the operation was given up with its outcome open, and this one, given after it,
 * must not overtake it.
 */
export class WaybillNotTried extends WaybillError {
  override readonly name = 'WaybillNotTried'
  readonly code = 'not_tried'
}

/** More commands wait than the client holds. This one was not sent: await `ready()` and give it again. */
export class WaybillQueueFull extends WaybillError {
  override readonly name = 'WaybillQueueFull'
  readonly code = 'queue_full'
}

/** The client is closed. The command was not sent. */
export class WaybillClosed extends WaybillError {
  override readonly name = 'WaybillClosed'
  readonly code = 'closed'
}

/** Why one attempt has no result. */
export type Failure =
  | {
      readonly kind: 'problem'
      readonly problem: ProblemDocument
      /** Milliseconds the service asked to be left alone for; null when it did not say. */
      readonly retryAfterMs: number | null
    }
  | {
      readonly kind: 'unanswered'
      readonly detail: string
      readonly cause?: unknown
      readonly mayHaveLanded: boolean
      /** False when another attempt would end the same way. */
      readonly mayRetry: boolean
      readonly retryAfterMs: number | null
    }

export type Outcome<T> = { readonly kind: 'answer'; readonly value: T } | Failure

const passing = new Set<string>([
  'overloaded',
  'contention',
  'log_unavailable',
  'outcome_unknown',
  'read_model_unavailable',
])

/** True for what another attempt with the same key may cure. */
export function mayRetry(failure: Failure): boolean {
  if (failure.kind === 'unanswered') return failure.mayRetry
  const { status, code } = failure.problem
  return status === 429 || (status === 503 && passing.has(code))
}

/** True when the attempt may have put its command into the log. */
export function mayHaveLanded(failure: Failure): boolean {
  if (failure.kind === 'unanswered') return failure.mayHaveLanded
  return failure.problem.code === 'outcome_unknown' || failure.problem.code === 'internal'
}

export function errorOf(failure: Failure, fate: CommandFate): WaybillError {
  if (failure.kind === 'problem') return new WaybillProblem(failure.problem, fate)
  return new WaybillUnanswered(failure.detail, fate, { cause: failure.cause })
}
