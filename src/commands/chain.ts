import type { AppendRequest } from '../eventlog/eventLog.ts'
import { isOutsidePipelines } from '../operation/commands.ts'
import type { Decision, Refusal } from '../operation/decision.ts'
import type { OperationState } from '../operation/state.ts'
import type { Lane, Ticket } from './lane.ts'
import { plus } from './plus.ts'
import { mayBeForgotten, type Receipt } from './receipts.ts'

/**
 * What one lane puts into one batch: its commands decided in order, each on what the ones before it will leave behind.
 * Every entry waits for the link that proves the state it was decided on.
 */
export interface Chain {
  readonly lane: Lane
  /** At least one; a check when nothing is appended. */
  readonly links: readonly Link[]
  readonly entries: readonly ChainEntry[]
}

export interface Link {
  readonly request: AppendRequest
  readonly stateAfter: OperationState | null
  /** Whose append it is; null for a check. */
  readonly owner: { readonly ticket: Ticket; readonly accepted: Accepted } | null
}

export interface ChainEntry {
  readonly ticket: Ticket
  /** Index of the link that must be confirmed before the answer may be given. */
  readonly link: number
  readonly answer: ChainAnswer
}

export type ChainAnswer =
  /** The link is this command's own append. */
  | { readonly kind: 'own' }
  /** A duplicate of the link's command. */
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

/** What a lane must ask of the log before its next command can be decided. */
export type Question = 'pipeline' | 'receipts' | null

export interface ChainTools {
  decide(ticket: Ticket, state: OperationState | null): Decision
  encode(ticket: Ticket, accepted: Accepted, state: OperationState | null): Encoded
  /** Answers that rest on nothing a batch must prove. */
  answerReceipt(ticket: Ticket, receipt: Receipt): void
  answerNow(ticket: Ticket, decision: Decision, lane: Lane): void
  answerNotTried(ticket: Ticket): void
  answerBug(ticket: Ticket, bug: unknown): void
}

export interface Encoded {
  readonly request: AppendRequest
  readonly stateAfter: OperationState
  /** UTF-16 units of the events' texts. */
  readonly units: number
}

/**
 * Decides a lane's waiting commands, as many as the batch has room for, and takes them out of the lane. Stops at a
 * command that needs an answer of the log first, and says which.
 */
export function buildChain(
  lane: Lane,
  room: BatchRoom,
  tools: ChainTools,
): { readonly chain: Chain | null; readonly question: Question } {
  let links: Link[] | null = null
  let entries: ChainEntry[] | null = null
  /** Keys this chain appends under, by the index of their link. */
  let keys: Map<string, number> | null = null
  let state = lane.state
  let question: Question = null
  let taken = 0

  while (taken < lane.waiting.length && room.commands > 0 && room.bytes > 0) {
    const ticket = lane.waiting[taken]
    if (ticket === undefined) break
    const { key } = ticket.command
    const known = lane.receipts.recent.get(key) ?? ticket.recorded
    const sibling = keys?.get(key)
    // It is refused when it is decided. A receipt, or that there is none, would tell its sender of what it may not see.
    const mayHaveReceipt = state === null || !isOutsidePipelines(ticket.command.pipelinesAllowed, state.pipeline.name)
    if (ticket.answered) {
      // Its time was up.
    } else if (cameAfterFailure(ticket)) {
      tools.answerNotTried(ticket)
    } else if (mayHaveReceipt && known !== undefined && known !== null) {
      tools.answerReceipt(ticket, known)
    } else if (mayHaveReceipt && sibling !== undefined) {
      entries = plus(entries, { ticket, link: sibling, answer: receipt })
    } else if (mayHaveReceipt && mustAskForReceipt(lane, ticket)) {
      question = 'receipts'
      break
    } else if (state === null && mustAskForPipeline(ticket)) {
      question = 'pipeline'
      break
    } else {
      room.commands -= 1
      try {
        const decision = tools.decide(ticket, state)
        if (decision.kind === 'accepted' && decision.events.length > 0) {
          const { request, stateAfter, units } = tools.encode(ticket, decision, state)
          const link = links === null ? 0 : links.length
          entries = plus(entries, { ticket, link, answer: own })
          if (taken + 1 < lane.waiting.length) {
            keys ??= new Map()
            keys.set(key, link)
          }
          links = plus(links, { request, stateAfter, owner: { ticket, accepted: decision } })
          room.bytes -= units
          state = stateAfter
        } else if (links === null && ticket.arrival <= lane.confirmedAfter) {
          tools.answerNow(ticket, decision, lane)
        } else {
          entries = plus(entries, resting(ticket, decision, links === null ? 0 : links.length))
        }
      } catch (bug) {
        tools.answerBug(ticket, bug)
      }
    }
    taken += 1
  }
  lane.waiting = taken === lane.waiting.length ? [] : lane.waiting.slice(taken)
  if (entries === null) return { chain: null, question }
  links ??= [{ request: check(lane), stateAfter: lane.state, owner: null }]
  return { chain: { lane, links, entries }, question }
}

/**
 * An answer that appends nothing. Until the chain has a link it rests on the lane's own state, which the chain's first
 * link will prove, expecting that very revision; later on, on what the link before it leaves behind.
 */
function resting(ticket: Ticket, decision: Decision, linkCount: number): ChainEntry {
  const link = Math.max(0, linkCount - 1)
  return decision.kind === 'refused'
    ? { ticket, link, answer: { kind: 'refused', refusal: decision.refusal } }
    : {
        ticket,
        link,
        answer: { kind: 'nothing', accepted: decision, rests: linkCount === 0 ? 'before' : 'after' },
      }
}

function check(lane: Lane): AppendRequest {
  return { stream: lane.stream, expectedRevision: lane.state === null ? 'noStream' : lane.state.revision, events: [] }
}

function cameAfterFailure({ group, command, arrival }: Ticket): boolean {
  const failed = group?.failed.get(command.operation)
  return failed !== undefined && failed < arrival
}

export function mustAskForReceipt(lane: Lane, ticket: Ticket): boolean {
  return ticket.recorded === undefined && mayBeForgotten(lane.receipts, ticket.command.key)
}

export function mustAskForPipeline(ticket: Ticket): boolean {
  return ticket.pipeline === undefined && ticket.command.body.pipeline !== undefined
}
