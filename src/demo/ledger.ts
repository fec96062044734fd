import type { OperationPlan, PlannedCommand } from './plan.ts'

/** One answer to one sending of a command, as far as the proof needs it. */
export interface Answer {
  readonly httpStatus: number
  readonly outcome: string | null
  readonly reason: string | null
  readonly revision: number | null
  readonly position: string | null
  /** The problem's code when it was refused. */
  readonly code: string | null
}

export interface SentCommand {
  readonly command: PlannedCommand
  /** Answers to the command as planned, in order of arrival; at least one is definite when the run is over. */
  readonly answers: Answer[]
  /** Answers to another body under the same key. */
  readonly reuseAnswers: Answer[]
}

export interface OperationRecord {
  readonly plan: OperationPlan
  readonly sent: readonly SentCommand[]
  /** Highest revision any answer named; -1 before the first. */
  acknowledged: number
}

export function openRecord(plan: OperationPlan): OperationRecord {
  return {
    plan,
    sent: plan.commands.map((command) => ({ command, answers: [], reuseAnswers: [] })),
    acknowledged: -1,
  }
}

/** An answer that leaves no doubt about the command: taken, or refused by the rules. */
export function isDefinite(answer: Answer): boolean {
  return answer.httpStatus < 500 && answer.httpStatus !== 429 && answer.httpStatus !== 408
}

/** True when the answer says that the command is in the log: every report with a key of its own is, ignored ones too. */
export function appended(answer: Answer): boolean {
  return answer.outcome !== null && answer.code === null
}
