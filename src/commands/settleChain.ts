import type { AppendOutcome } from '../eventlog/eventLog.ts'
import { accepted, type Place, receiptAgain, receiptOf, refused } from './answers.ts'
import type { Chain, ChainEntry } from './chain.ts'
import type { CommandFailure, CommandResult } from './commandService.ts'
import type { KeyReuse } from './keyReuse.ts'
import type { Ticket } from './lane.ts'
import { plus } from './plus.ts'
import { rememberReceipt } from './receipts.ts'

export interface SettleTools {
  answer(ticket: Ticket, result: CommandResult): void
  fail(ticket: Ticket, code: CommandFailure['code']): void
  readonly keyReuse: KeyReuse
  readonly conflictsMax: number
  readonly receiptsMax: number
}

/**
 * Takes what the log said of a chain's links, in their order: moves the lane's confirmed state on to the last link that
 * was appended, answers every command whose state is thereby proved, and puts those that must be decided again back to
 * the lane's front, in their order.
 *
 * @param outcomes those of the whole batch; the chain's begin at `offset`
 * @param arrival commands up to this number had arrived when the batch was sent
 */
export function settleChain(
  chain: Chain,
  outcomes: readonly AppendOutcome[],
  offset: number,
  arrival: number,
  tools: SettleTools,
): void {
  const { lane, links } = chain
  const before = placeOf(chain)
  /** Where the stream stood after each confirmed link. */
  let places: Place[] = []
  for (const link of links) {
    const outcome = outcomes[offset + places.length]
    if (outcome?.kind !== 'appended') break
    const place = link.owner === null ? before : outcome
    places = plus(places, place)
    lane.state = link.stateAfter
    lane.position = place.position
    if (link.owner !== null) {
      const { ticket, accepted: decision } = link.owner
      rememberReceipt(lane.receipts, ticket.command.key, receiptOf(ticket, decision, place), tools.receiptsMax)
    }
  }
  if (places.length > 0) {
    lane.knowledge = 'confirmed'
    lane.confirmedAfter = arrival
  }
  const failing = outcomes[offset + places.length]
  // A request that the log would not hold says nothing about the stream; every other failure does.
  if (places.length < links.length && failing?.kind !== 'rejected') lane.knowledge = 'unknown'

  let again: Ticket[] = []
  for (const entry of chain.entries) {
    if (entry.ticket.answered) continue
    const place = places[entry.link]
    if (place !== undefined) {
      answerProved(
        chain,
        entry,
        entry.answer.kind === 'nothing' && entry.answer.rests === 'before' ? before : place,
        tools,
      )
    } else if (!answerFailed(entry, outcomes, offset, places.length, tools)) {
      again = plus(again, entry.ticket)
    }
  }
  if (again.length > 0) lane.waiting = again.concat(lane.waiting)
}

function placeOf({ lane }: Chain): Place {
  return { revision: lane.state?.revision ?? -1n, position: lane.position }
}

function answerProved(chain: Chain, { ticket, link, answer }: ChainEntry, place: Place, tools: SettleTools): void {
  const owner = chain.links[link]?.owner ?? null
  switch (answer.kind) {
    case 'own':
      if (owner !== null) tools.answer(ticket, accepted(ticket, owner.accepted, place))
      return
    case 'receipt':
      if (owner !== null) {
        const receipt = receiptOf(owner.ticket, owner.accepted, place)
        tools.answer(ticket, receiptAgain(ticket, receipt, tools.keyReuse))
      }
      return
    case 'nothing':
      tools.answer(ticket, accepted(ticket, answer.accepted, place))
      return
    case 'refused': {
      const { operation, key } = ticket.command
      tools.answer(ticket, { kind: 'refused', operation, key, refusal: answer.refusal })
      return
    }
    default:
      answer satisfies never
  }
}

/**
 * Answers a command that rests on a link which was not appended, if there is an answer; false: decide it again.
 *
 * @param failing index of the first link that was not appended
 */
function answerFailed(
  { ticket, link, answer }: ChainEntry,
  outcomes: readonly AppendOutcome[],
  offset: number,
  failing: number,
  tools: SettleTools,
): boolean {
  const cause = outcomes[offset + failing] ?? { kind: 'unknown' }
  const own = answer.kind === 'own' ? outcomes[offset + link] : undefined
  // Without a log there is no point in deciding the rest of the chain again: all of it is safe to send again.
  if (cause.kind === 'unavailable' && own?.kind !== 'unknown') {
    tools.fail(ticket, 'log_unavailable')
    return true
  }
  if (own?.kind === 'unknown') {
    tools.fail(ticket, 'outcome_unknown')
    return true
  }
  // Whatever the log said of its key before, another node may have used it since.
  ticket.recorded = undefined
  if (link !== failing) return false
  if (own?.kind === 'rejected') {
    tools.answer(ticket, rejection(ticket, own.reason))
    return true
  }
  ticket.conflicts += 1
  if (ticket.conflicts <= tools.conflictsMax) return false
  tools.fail(ticket, 'contention')
  return true
}

function rejection(ticket: Ticket, reason: 'too_large' | 'invalid'): CommandResult {
  return reason === 'too_large'
    ? refused(ticket, 'too_large', 'What this command would append is larger than one append may be')
    : refused(ticket, 'invalid', 'This command holds a value that the log cannot store')
}
