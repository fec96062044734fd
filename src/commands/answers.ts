import type { RefusalCode } from '../operation/decision.ts'
import type { Accepted } from './chain.ts'
import type { CommandResult } from './commandService.ts'
import type { Ticket } from './lane.ts'
import type { Receipt } from './receipts.ts'

/** Where the log stands for an answer: of the last event appended, or the operation's current ones when nothing was. */
export interface Place {
  readonly revision: bigint
  readonly position: bigint
}

export function accepted(ticket: Ticket, decision: Accepted, place: Place): CommandResult {
  return {
    kind: 'accepted',
    operation: ticket.command.operation,
    key: ticket.command.key,
    outcome: decision.outcome,
    ...(decision.reason === undefined ? undefined : { reason: decision.reason }),
    opened: decision.opened,
    revision: place.revision,
    position: place.position,
  }
}

/** The first receipt again; `key_reused` when the key came with another request. */
export function receiptAgain(ticket: Ticket, receipt: Receipt): CommandResult {
  const { operation, key, requestHash } = ticket.command
  if (receipt.requestHash !== requestHash) {
    return refused(ticket, 'key_reused', 'This idempotency key was used for another request on this operation')
  }
  return {
    kind: 'accepted',
    operation,
    key,
    outcome: receipt.outcome,
    ...(receipt.reason === undefined ? undefined : { reason: receipt.reason }),
    opened: receipt.opened,
    revision: receipt.revision,
    position: receipt.position,
  }
}

export function receiptOf(ticket: Ticket, decision: Accepted, place: Place): Receipt {
  return {
    requestHash: ticket.command.requestHash,
    outcome: decision.outcome,
    reason: decision.reason,
    opened: decision.opened,
    revision: place.revision,
    position: place.position,
  }
}

export function refused(ticket: Ticket, code: RefusalCode, detail: string): CommandResult {
  const { operation, key } = ticket.command
  return { kind: 'refused', operation, key, refusal: { code, detail } }
}
