import type { Command } from '../operation/commands.ts'
import type { CommandLimits } from './commandLimits.ts'
import type { CommandFailure, CommandGroup, CommandResult } from './commandService.ts'
import { roughJsonBytes } from './roughJsonBytes.ts'
import type { PendingCommand } from './streamQueue.ts'

/** Admits commands while there is room for them, and gives each its answer, once. */
export interface Admission {
  /** Null: there is no room, and the command has been answered. */
  take(
    command: Command,
    group: CommandGroup | undefined,
    resolve: (result: CommandResult) => void,
    reject: (bug: unknown) => void,
  ): PendingCommand | null
  answer(pending: PendingCommand, result: CommandResult): void
  fail(pending: PendingCommand, code: CommandFailure['code']): void
  /** A bug of ours: the caller's promise rejects. */
  failWithBug(pending: PendingCommand, bug: unknown): void
  /** Work that is no operation's command, but counts as one. False: no room. */
  enter(): boolean
  leave(): void
  /** How many commands came so far. */
  readonly arrivals: () => number
  readonly open: () => number
  readonly unknownOutcomes: () => number
  /** No more are taken; resolves when those taken are answered. */
  close(): Promise<void>
}

/**
 * Told of every command that is answered, once. `pipeline`: what it would open its operation with, if that was looked up;
 * `result` is null for a bug of ours.
 */
export type Answered = (command: Command, pipeline: string | null, result: CommandResult | null) => void

export function createAdmission(
  limits: CommandLimits,
  monotonicMs: () => number,
  answered: Answered = () => undefined,
): Admission {
  let arrivals = 0
  let open = 0
  let openBytes = 0
  let unknownOutcomes = 0
  let closed = false
  let whenEmpty: (() => void)[] = []

  const release = (bytes: number): void => {
    open -= 1
    openBytes -= bytes
    if (open > 0) return
    const waiting = whenEmpty
    whenEmpty = []
    for (const resolve of waiting) resolve()
  }

  const failure = (command: Command, code: CommandFailure['code']): CommandResult => ({
    kind: 'failed',
    operation: command.operation,
    key: command.key,
    failure: { code, retryAfterS: limits.retryAfterS },
  })

  const failAtOnce = (
    command: Command,
    code: CommandFailure['code'],
    resolve: (result: CommandResult) => void,
  ): void => {
    const result = failure(command, code)
    answered(command, null, result)
    resolve(result)
  }

  const answer = (pending: PendingCommand, result: CommandResult): void => {
    if (pending.answered) return
    pending.answered = true
    answered(pending.command, pending.pipeline?.name ?? null, result)
    if (result.kind === 'failed') noteFailure(pending.group, pending.command.operation, pending.arrival)
    release(pending.bytes)
    pending.resolve(result)
  }

  return {
    take(command, group, resolve, reject) {
      if (group?.failed.has(command.operation) === true) {
        failAtOnce(command, 'not_tried', resolve)
        return null
      }
      const bytes = roughBytes(command)
      if (closed || open >= limits.queuedCommandsMax || openBytes + bytes > limits.queuedBytesMax) {
        noteFailure(group, command.operation, arrivals + 1)
        failAtOnce(command, 'overloaded', resolve)
        return null
      }
      arrivals += 1
      open += 1
      openBytes += bytes
      return {
        command,
        group,
        bytes,
        arrival: arrivals,
        arrivedMs: monotonicMs(),
        resolve,
        reject,
        answered: false,
        conflicts: 0,
        pipeline: undefined,
        recorded: undefined,
      }
    },
    answer,
    fail(pending, code) {
      if (code === 'outcome_unknown' && !pending.answered) unknownOutcomes += 1
      answer(pending, failure(pending.command, code))
    },
    failWithBug(pending, bug) {
      if (pending.answered) return
      pending.answered = true
      answered(pending.command, pending.pipeline?.name ?? null, null)
      noteFailure(pending.group, pending.command.operation, pending.arrival)
      release(pending.bytes)
      pending.reject(bug)
    },
    enter() {
      if (closed || open >= limits.queuedCommandsMax) return false
      open += 1
      return true
    },
    leave: () => release(0),
    arrivals: () => arrivals,
    open: () => open,
    unknownOutcomes: () => unknownOutcomes,
    close() {
      closed = true
      return open === 0 ? Promise.resolve() : new Promise((resolve) => whenEmpty.push(resolve))
    },
  }
}

function noteFailure(group: CommandGroup | undefined, operation: string, arrival: number): void {
  if (group === undefined) return
  const first = group.failed.get(operation)
  if (first === undefined || arrival < first) group.failed.set(operation, arrival)
}

/** What a command without documents takes in memory: its entry, promise, closures, short texts. */
const commandBytes = 500

/** Walks the documents instead of printing them: a bound on memory needs no exact number. */
function roughBytes({ body }: Command): number {
  return (
    commandBytes +
    (body.data === undefined ? 0 : roughJsonBytes(body.data)) +
    (body.metadata === undefined ? 0 : roughJsonBytes(body.metadata))
  )
}
