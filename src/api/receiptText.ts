import type { CommandOutcome, CommandResult } from '../commands/commandService.ts'
import type { PositionTokens } from './positionToken.ts'

export type Accepted = Extract<CommandResult, { kind: 'accepted' }>

/** A receipt's members without the closing brace: a bulk line adds its own. */
function receiptMembers(result: Accepted, tokens: PositionTokens): string {
  const reason = result.reason === undefined ? '' : `,"reason":"${result.reason}"`
  return `{"operation":"${result.operation}","command":${keyText(result.key)},"outcome":"${result.outcome}"${reason},"revision":${result.revision},"position":"${tokens.encode(result.position)}"`
}

/** With its newline. */
export function receiptLine(result: Accepted, tokens: PositionTokens): string {
  return `${receiptMembers(result, tokens)}}\n`
}

export function acceptedLine(result: Accepted, tokens: PositionTokens): string {
  return `${receiptMembers(result, tokens)},"httpStatus":${acceptedStatus(result)}}\n`
}

export function acceptedStatus(result: Accepted): 200 | 201 {
  return result.opened ? 201 : 200
}

/** What became of a command: its receipt, and, of a held report, what it has come to. */
export function outcomeText(operation: string, key: string, outcome: CommandOutcome, tokens: PositionTokens): string {
  const { receipt, now } = outcome
  const { opened, revision, position, reason } = receipt
  const accepted = { kind: 'accepted', operation, key, outcome: receipt.outcome, opened, revision, position } as const
  const members = receiptMembers(reason === undefined ? accepted : { ...accepted, reason }, tokens)
  if (now === null) return `${members}}`
  return `${members},"now":${JSON.stringify({
    outcome: now.outcome,
    reason: now.reason,
    revision: Number(now.revision),
    position: tokens.encode(now.position),
  })}}`
}

/** Most keys need no escape; of visible ASCII only these two do. */
function keyText(key: string): string {
  return key.includes('"') || key.includes('\\') ? JSON.stringify(key) : `"${key}"`
}
