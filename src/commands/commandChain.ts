import type { AppendRequest } from '../eventlog/eventLog.ts'
import { isOutsidePipelines } from '../operation/commands.ts'
import type { Decision, Refusal } from '../operation/decision.ts'
import type { OperationState } from '../operation/state.ts'
import { plus } from './plus.ts'
import { mayBeForgotten, type Receipt } from './receipts.ts'
import type { PendingCommand, StreamQueue } from './streamQueue.ts'

/**
 * What one queue puts into one batch: its commands decided in order, each on what the ones before it will leave behind.
 * Each command waits for the append that proves the state it was decided on.
 */
export interface CommandChain {
  readonly queue: StreamQueue
  /** At least one; a check when nothing is appended. */
  readonly appends: readonly ChainedAppend[]
  readonly commands: readonly ChainedCommand[]
}

export interface ChainedAppend {
  readonly request: AppendRequest
  readonly stateAfter: OperationState | null
  /** Whose append it is; null for a check. */
  readonly owner: { readonly pending: PendingCommand; readonly accepted: Accepted } | null
}

export interface ChainedCommand {
  readonly pending: PendingCommand
  /** Index of the append that must be confirmed before the answer may be given. */
  readonly append: number
  readonly answer: ChainAnswer
}

export type ChainAnswer =
  /** The append is its own. */
  | { readonly kind: 'own' }
  /** A duplicate of the append's command. */
  | { readonly kind: 'receipt' }
  /** Accepted, and there was nothing to append. */
  | { readonly kind: 'nothing'; readonly accepted: Accepted; readonly rests: 'before' | 'after' }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

const own: ChainAnswer = { kind: 'own' }
const receipt: ChainAnswer = { kind: 'receipt' }

export type Accepted = Extract<Decision, { kind: 'accepted' }>

/** What a batch can still take. */
export interface BatchRoom {
  commands: number
  bytes: number
}

/** What a queue must ask of the log before its next command can be decided. */
export type Question = 'pipeline' | 'receipts' | null

export interface ChainTools {
  decide(pending: PendingCommand, state: OperationState | null): Decision
  encode(pending: PendingCommand, accepted: Accepted, state: OperationState | null): Encoded
  /** Answers that rest on nothing a batch must prove. */
  answerReceipt(pending: PendingCommand, receipt: Receipt): void
  answerNow(pending: PendingCommand, decision: Decision, queue: StreamQueue): void
  answerNotTried(pending: PendingCommand): void
  answerBug(pending: PendingCommand, bug: unknown): void
}

export interface Encoded {
  readonly request: AppendRequest
  readonly stateAfter: OperationState
  /** UTF-16 units of the events' texts. */
  readonly units: number
}

/**
 * Decides a queue's waiting commands, as many as the batch has room for, and takes them out of the queue. Stops at a
 * command that needs an answer of the log first, and says which.
 */
export function buildChain(
  queue: StreamQueue,
  room: BatchRoom,
  tools: ChainTools,
): { readonly chain: CommandChain | null; readonly question: Question } {
  let appends: ChainedAppend[] | null = null
  let commands: ChainedCommand[] | null = null
  /** Keys this chain appends under, by the index of their append. */
  let keys: Map<string, number> | null = null
  let state = queue.state
  let question: Question = null
  let taken = 0

  while (taken < queue.waiting.length && room.commands > 0 && room.bytes > 0) {
    const pending = queue.waiting[taken]
    if (pending === undefined) break
    const { key } = pending.command
    const known = queue.receipts.recent.get(key) ?? pending.recorded
    const sibling = keys?.get(key)
    // It is refused when it is decided. A receipt, or that there is none, would tell its sender of what it may not see.
    const mayHaveReceipt = state === null || !isOutsidePipelines(pending.command.pipelinesAllowed, state.pipeline.name)
    if (pending.answered) {
      // Its time was up.
    } else if (cameAfterFailure(pending)) {
      tools.answerNotTried(pending)
    } else if (mayHaveReceipt && known !== undefined && known !== null) {
      tools.answerReceipt(pending, known)
    } else if (mayHaveReceipt && sibling !== undefined) {
      commands = plus(commands, { pending, append: sibling, answer: receipt })
    } else if (mayHaveReceipt && mustAskForReceipt(queue, pending)) {
      question = 'receipts'
      break
    } else if (state === null && mustAskForPipeline(pending)) {
      question = 'pipeline'
      break
    } else {
      room.commands -= 1
      try {
        const decision = tools.decide(pending, state)
        if (decision.kind === 'accepted' && decision.events.length > 0) {
          const { request, stateAfter, units } = tools.encode(pending, decision, state)
          const append = appends === null ? 0 : appends.length
          commands = plus(commands, { pending, append, answer: own })
          if (taken + 1 < queue.waiting.length) {
            keys ??= new Map()
            keys.set(key, append)
          }
          appends = plus(appends, { request, stateAfter, owner: { pending, accepted: decision } })
          room.bytes -= units
          state = stateAfter
        } else if (appends === null && pending.arrival <= queue.confirmedAfter) {
          tools.answerNow(pending, decision, queue)
        } else {
          commands = plus(commands, resting(pending, decision, appends === null ? 0 : appends.length))
        }
      } catch (bug) {
        tools.answerBug(pending, bug)
      }
    }
    taken += 1
  }
  queue.waiting = taken === queue.waiting.length ? [] : queue.waiting.slice(taken)
  if (commands === null) return { chain: null, question }
  appends ??= [{ request: check(queue), stateAfter: queue.state, owner: null }]
  return { chain: { queue, appends, commands }, question }
}

/**
 * An answer that appends nothing. Until the chain has an append it rests on the queue's own state, which the chain's first
 * append will prove, expecting that very revision; later on, on what the append before it leaves behind.
 */
function resting(pending: PendingCommand, decision: Decision, appendCount: number): ChainedCommand {
  const append = Math.max(0, appendCount - 1)
  return decision.kind === 'refused'
    ? { pending, append, answer: { kind: 'refused', refusal: decision.refusal } }
    : {
        pending,
        append,
        answer: { kind: 'nothing', accepted: decision, rests: appendCount === 0 ? 'before' : 'after' },
      }
}

function check(queue: StreamQueue): AppendRequest {
  return {
    stream: queue.stream,
    expectedRevision: queue.state === null ? 'noStream' : queue.state.revision,
    events: [],
  }
}

function cameAfterFailure({ group, command, arrival }: PendingCommand): boolean {
  const failed = group?.failed.get(command.operation)
  return failed !== undefined && failed < arrival
}

export function mustAskForReceipt(queue: StreamQueue, pending: PendingCommand): boolean {
  return pending.recorded === undefined && mayBeForgotten(queue.receipts, pending.command.key)
}

export function mustAskForPipeline(pending: PendingCommand): boolean {
  return pending.pipeline === undefined && pending.command.body.pipeline !== undefined
}
