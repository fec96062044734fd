import type { Command } from '../operation/commands.ts'
import { FairShare, type FairShareCounts } from '../runtime/fairShare.ts'
import type { CommandLimits } from './commandLimits.ts'
import type { CommandFailure, CommandGroup, CommandResult } from './commandService.ts'
import { roughJsonBytes } from './roughJsonBytes.ts'
import type { PendingCommand } from './streamQueue.ts'

/**
 * Admits commands while there is room for them, and gives each its answer, once. Owners share the room (fairShare.ts): of the
 * one that holds the most, the oldest command that was not sent to the log is answered `overloaded` for an owner that holds
 * less. Commands of a group are not reclaimed: how many there are is bounded by who submits them.
 */
export interface Admission {
  /** Null: there is no room, and the command has been answered. `owner`: whose share it uses. */
  take(
    command: Command,
    group: CommandGroup | undefined,
    resolve: (result: CommandResult) => void,
    reject: (bug: unknown) => void,
    owner?: string,
  ): PendingCommand | null
  /** It is sent to the log: it is not reclaimed any more. */
  sent(pending: PendingCommand): void
  answer(pending: PendingCommand, result: CommandResult): void
  fail(pending: PendingCommand, code: CommandFailure['code']): void
  /** A bug of ours: the caller's promise rejects. */
  failWithBug(pending: PendingCommand, bug: unknown): void
  /** Work that is no operation's command, but counts as one. Calls back when it ends it; null: there is no room. */
  enter(owner: string): (() => void) | null
  /** How many commands came so far. */
  readonly arrivals: () => number
  readonly open: () => number
  readonly counts: () => { readonly commands: FairShareCounts; readonly bytes: FairShareCounts }
  readonly unknownOutcomes: () => number
  /** No more are taken; resolves when those taken are answered. */
  close(): Promise<void>
}

/**
 * Told of every command that is answered, once. `pipeline`: what it would open its operation with, if that was looked up;
 * `result` is null for a bug of ours.
 */
export type Answered = (command: Command, pipeline: string | null, result: CommandResult | null) => void

/** `dequeue`: called before a command is answered because its place was reclaimed. */
export function createAdmission(
  limits: CommandLimits,
  monotonicMs: () => number,
  answered: Answered = () => undefined,
  dequeue: (pending: PendingCommand) => void = () => undefined,
): Admission {
  const commands = new FairShare(limits.queuedCommandsMax)
  const bytes = new FairShare(limits.queuedBytesMax)
  let arrivals = 0
  let unknownOutcomes = 0
  let closed = false
  let whenEmpty: (() => void)[] = []

  const release = ({ lease, bytesLease }: Pick<PendingCommand, 'lease' | 'bytesLease'>): void => {
    bytesLease.release()
    lease.release()
    closeWhenEmpty()
  }

  const closeWhenEmpty = (): void => {
    if (commands.taken > 0 || whenEmpty.length === 0) return
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
    release(pending)
    pending.resolve(result)
  }

  return {
    take(command, group, resolve, reject, owner = command.actor) {
      if (group?.failed.has(command.operation) === true) {
        failAtOnce(command, 'not_tried', resolve)
        return null
      }
      let pending: PendingCommand | null = null
      const onReclaim =
        group !== undefined
          ? undefined
          : () => {
              if (pending === null || pending.answered) return
              dequeue(pending)
              answer(pending, failure(command, 'overloaded'))
            }
      const lease = closed ? null : commands.take(owner, 1, onReclaim)
      const bytesLease = lease === null ? null : bytes.take(owner, roughBytes(command), onReclaim)
      if (lease === null || bytesLease === null) {
        lease?.release()
        noteFailure(group, command.operation, arrivals + 1)
        failAtOnce(command, 'overloaded', resolve)
        return null
      }
      arrivals += 1
      pending = {
        command,
        owner,
        group,
        lease,
        bytesLease,
        arrival: arrivals,
        arrivedMs: monotonicMs(),
        resolve,
        reject,
        answered: false,
        conflicts: 0,
        pipeline: undefined,
        recorded: undefined,
      }
      return pending
    },
    sent({ group, lease, bytesLease }) {
      if (group !== undefined) return
      lease.keep()
      bytesLease.keep()
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
      release(pending)
      pending.reject(bug)
    },
    enter(owner) {
      const lease = closed ? null : commands.take(owner, 1)
      if (lease === null) return null
      return () => {
        lease.release()
        closeWhenEmpty()
      }
    },
    arrivals: () => arrivals,
    open: () => commands.taken,
    counts: () => ({ commands: commands.counts, bytes: bytes.counts }),
    unknownOutcomes: () => unknownOutcomes,
    close() {
      closed = true
      return commands.taken === 0 ? Promise.resolve() : new Promise((resolve) => whenEmpty.push(resolve))
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
