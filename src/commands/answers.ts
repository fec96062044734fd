import type { Outcome, RefusalCode } from '../operation/decision.ts'
import type { Accepted } from './commandChain.ts'
import type { CommandResult } from './commandService.ts'
import type { KeyReuse } from './keyReuse.ts'
import type { Receipt } from './receipts.ts'
import type { PendingCommand } from './streamQueue.ts'

/** Where the log stands for an answer: of the last event appended, or the operation's current ones when nothing was. */
export interface Place {
  readonly revision: bigint
  readonly position: bigint
}

export function accepted(pending: PendingCommand, decision: Accepted, place: Place): CommandResult {
  return acceptedAs(pending, decision.outcome, decision.reason, decision.opened, place)
}

/** The first receipt again; `key_reused` when the key came with another request. */
export function receiptAgain(pending: PendingCommand, receipt: Receipt, keyReuse: KeyReuse): CommandResult {
  const { operation, key, actor, requestHash } = pending.command
  if (receipt.requestHash !== requestHash) {
    return { kind: 'refused', operation, key, refusal: keyReuse.refusal('operation', actor, receipt.actor) }
  }
  return acceptedAs(pending, receipt.outcome, receipt.reason, receipt.opened, receipt)
}

function acceptedAs(
  pending: PendingCommand,
  outcome: Outcome,
  reason: Receipt['reason'],
  opened: boolean,
  { revision, position }: Place,
): CommandResult {
  const { operation, key } = pending.command
  return reason === undefined
    ? { kind: 'accepted', operation, key, outcome, opened, revision, position }
    : { kind: 'accepted', operation, key, outcome, reason, opened, revision, position }
}

export function receiptOf(pending: PendingCommand, decision: Accepted, place: Place): Receipt {
  return {
    actor: pending.command.actor,
    requestHash: pending.command.requestHash,
    outcome: decision.outcome,
    reason: decision.reason,
    opened: decision.opened,
    revision: place.revision,
    position: place.position,
  }
}

export function refused(pending: PendingCommand, code: RefusalCode, detail: string): CommandResult {
  const { operation, key } = pending.command
  return { kind: 'refused', operation, key, refusal: { code, detail } }
}
