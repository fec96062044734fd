import type { CommandLine } from './commandLine.ts'
import type { Receipt } from './contract.ts'
import type { Failure } from './errors.ts'

/** A command without an answer. */
export interface PendingCommand {
  readonly line: CommandLine
  readonly deadline: number
  readonly resolve: (receipt: Receipt) => void
  readonly reject: (reason: unknown) => void
  /** Times it was sent and may have been tried. */
  attempts: number
  wasSent: boolean
  inFlight: boolean
  mayHaveLanded: boolean
  /** Of the last attempt. */
  failure: Failure | null
  /** The caller waits no more. A command that was sent is seen through all the same: those after it depend on it. */
  forsaken: boolean
  expired: boolean
  /** Stops the clock and stops listening to the signal. */
  release: () => void
}

/** The commands of one operation, in the order they were given. They are in one request at a time. */
export interface OperationQueue {
  readonly name: string
  readonly commands: PendingCommand[]
  inFlight: number
  /** Why commands of the last request have to be sent again. */
  trouble: Failure | null
  failures: number
  /** Cancels the wait before the next attempt. */
  waiting: (() => void) | null
  hasExpired: boolean
}
