import type { Command } from '../operation/commands.ts'
import type { CommandLimits } from './commandLimits.ts'
import type { CommandFailure, CommandGroup, CommandResult } from './commandService.ts'
import type { Ticket } from './lane.ts'
import { roughJsonBytes } from './roughJsonBytes.ts'

/** Takes commands in as tickets, while there is room for them, and hands out their answers, once each. */
export interface TicketDesk {
  /** A ticket, or what the command is answered at once. */
  take(
    command: Command,
    group: CommandGroup | undefined,
    resolve: (result: CommandResult) => void,
    reject: (bug: unknown) => void,
  ): Ticket | null
  answer(ticket: Ticket, result: CommandResult): void
  fail(ticket: Ticket, code: CommandFailure['code']): void
  /** A bug of ours: the caller's promise rejects. */
  failWithBug(ticket: Ticket, bug: unknown): void
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

export function createTicketDesk(
  limits: CommandLimits,
  monotonicMs: () => number,
  answered: Answered = () => undefined,
): TicketDesk {
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

  const answer = (ticket: Ticket, result: CommandResult): void => {
    if (ticket.answered) return
    ticket.answered = true
    answered(ticket.command, ticket.pipeline?.name ?? null, result)
    if (result.kind === 'failed') noteFailure(ticket.group, ticket.command.operation, ticket.arrival)
    release(ticket.bytes)
    ticket.resolve(result)
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
    fail(ticket, code) {
      if (code === 'outcome_unknown' && !ticket.answered) unknownOutcomes += 1
      answer(ticket, failure(ticket.command, code))
    },
    failWithBug(ticket, bug) {
      if (ticket.answered) return
      ticket.answered = true
      answered(ticket.command, ticket.pipeline?.name ?? null, null)
      noteFailure(ticket.group, ticket.command.operation, ticket.arrival)
      release(ticket.bytes)
      ticket.reject(bug)
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

/** What a command without documents takes: ticket, promise, closures, short texts. */
const commandBytes = 500

/** Walks the documents instead of printing them: a bound on memory needs no exact number. */
function roughBytes({ body }: Command): number {
  return (
    commandBytes +
    (body.data === undefined ? 0 : roughJsonBytes(body.data)) +
    (body.metadata === undefined ? 0 : roughJsonBytes(body.metadata))
  )
}
