import type { AppendOutcome } from '../eventlog/eventLog.ts'
import { accepted, type Place, receiptAgain, receiptOf, refused } from './answers.ts'
import type { ChainedCommand, CommandChain } from './commandChain.ts'
import type { CommandFailure, CommandResult } from './commandService.ts'
import type { KeyReuse } from './keyReuse.ts'
import { plus } from './plus.ts'
import { rememberReceipt } from './receipts.ts'
import type { PendingCommand } from './streamQueue.ts'

export interface ApplyTools {
  answer(pending: PendingCommand, result: CommandResult): void
  fail(pending: PendingCommand, code: CommandFailure['code']): void
  readonly keyReuse: KeyReuse
  readonly conflictsMax: number
  readonly receiptsMax: number
}

/**
 * Takes what the log said of a chain's appends, in their order: moves the queue's confirmed state on to the last one that
 * was appended, answers every command whose state is thereby proved, and puts those that must be decided again back to
 * the queue's front, in their order.
 *
 * @param outcomes those of the whole batch; the chain's begin at `offset`
 * @param arrival commands up to this number had arrived when the batch was sent
 */
export function applyOutcomes(
  chain: CommandChain,
  outcomes: readonly AppendOutcome[],
  offset: number,
  arrival: number,
  tools: ApplyTools,
): void {
  const { queue, appends } = chain
  const before = placeOf(chain)
  /** Where the stream stood after each confirmed append. */
  let places: Place[] = []
  for (const append of appends) {
    const outcome = outcomes[offset + places.length]
    if (outcome?.kind !== 'appended') break
    const place = append.owner === null ? before : outcome
    places = plus(places, place)
    queue.state = append.stateAfter
    queue.position = place.position
    if (append.owner !== null) {
      const { pending, accepted: decision } = append.owner
      rememberReceipt(queue.receipts, pending.command.key, receiptOf(pending, decision, place), tools.receiptsMax)
    }
  }
  if (places.length > 0) {
    queue.knowledge = 'confirmed'
    queue.confirmedAfter = arrival
  }
  const failing = outcomes[offset + places.length]
  // A request that the log would not hold says nothing about the stream; every other failure does.
  if (places.length < appends.length && failing?.kind !== 'rejected') queue.knowledge = 'unknown'

  let again: PendingCommand[] = []
  for (const chained of chain.commands) {
    if (chained.pending.answered) continue
    const place = places[chained.append]
    if (place !== undefined) {
      answerProved(
        chain,
        chained,
        chained.answer.kind === 'nothing' && chained.answer.rests === 'before' ? before : place,
        tools,
      )
    } else if (!answerFailed(chained, outcomes, offset, places.length, tools)) {
      again = plus(again, chained.pending)
    }
  }
  if (again.length > 0) queue.waiting = again.concat(queue.waiting)
}

function placeOf({ queue }: CommandChain): Place {
  return { revision: queue.state?.revision ?? -1n, position: queue.position }
}

function answerProved(
  chain: CommandChain,
  { pending, append, answer }: ChainedCommand,
  place: Place,
  tools: ApplyTools,
): void {
  const owner = chain.appends[append]?.owner ?? null
  switch (answer.kind) {
    case 'own':
      if (owner !== null) tools.answer(pending, accepted(pending, owner.accepted, place))
      return
    case 'receipt':
      if (owner !== null) {
        const receipt = receiptOf(owner.pending, owner.accepted, place)
        tools.answer(pending, receiptAgain(pending, receipt, tools.keyReuse))
      }
      return
    case 'nothing':
      tools.answer(pending, accepted(pending, answer.accepted, place))
      return
    case 'refused': {
      const { operation, key } = pending.command
      tools.answer(pending, { kind: 'refused', operation, key, refusal: answer.refusal })
      return
    }
    default:
      answer satisfies never
  }
}

/**
 * Answers a command that rests on an append which was not appended, if there is an answer; false: decide it again.
 *
 * @param failing index of the first append that was not appended
 */
function answerFailed(
  { pending, append, answer }: ChainedCommand,
  outcomes: readonly AppendOutcome[],
  offset: number,
  failing: number,
  tools: ApplyTools,
): boolean {
  const cause = outcomes[offset + failing] ?? { kind: 'unknown' }
  const own = answer.kind === 'own' ? outcomes[offset + append] : undefined
  // Without a log there is no point in deciding the rest of the chain again: all of it is safe to send again.
  if (cause.kind === 'unavailable' && own?.kind !== 'unknown') {
    tools.fail(pending, 'log_unavailable')
    return true
  }
  if (own?.kind === 'unknown') {
    tools.fail(pending, 'outcome_unknown')
    return true
  }
  // Whatever the log said of its key before, another node may have used it since.
  pending.recorded = undefined
  if (append !== failing) return false
  if (own?.kind === 'rejected') {
    tools.answer(pending, rejection(pending, own.reason))
    return true
  }
  pending.conflicts += 1
  if (pending.conflicts <= tools.conflictsMax) return false
  tools.fail(pending, 'contention')
  return true
}

function rejection(pending: PendingCommand, reason: 'too_large' | 'invalid'): CommandResult {
  return reason === 'too_large'
    ? refused(pending, 'too_large', 'What this command would append is larger than one append may be')
    : refused(pending, 'invalid', 'This command holds a value that the log cannot store')
}
