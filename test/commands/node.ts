import type { CommandLimits } from '../../src/commands/commandLimits.ts'
import type { CommandResult, CommandService } from '../../src/commands/commandService.ts'
import { type CommandServiceOptions, createCommandService } from '../../src/commands/createCommandService.ts'
import type { EventLog } from '../../src/eventlog/eventLog.ts'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import type { Command, CommandBody, OpenOperation, ReportStatus } from '../../src/operation/commands.ts'
import { requestHash } from '../../src/operation/requestHash.ts'
import { createFaultyEventLog, type FaultyEventLog } from './faultyEventLog.ts'

export const startMs = Date.UTC(2026, 0, 1)

export interface Node {
  readonly log: FaultyEventLog
  readonly commands: CommandService
  /** What the node's clock says next. */
  readonly time: { nowMs: number }
}

/** A node of its own over a log that others may share. Its clock stands still unless a test moves it. */
export function createNode(
  log: EventLog = createMemoryEventLog(),
  limits: Partial<CommandLimits> = {},
  parts: Pick<CommandServiceOptions, 'monotonicMs' | 'snapshots' | 'logger'> = {},
): Node {
  const faulty = createFaultyEventLog(log)
  const time = { nowMs: startMs }
  const commands = createCommandService({
    log: faulty,
    clock: () => time.nowMs,
    limits,
    ...parts,
  })
  return { log: faulty, commands, time }
}

interface Envelope {
  readonly expectedRevision?: bigint
}

export function command(operation: string, key: string, body: CommandBody, envelope: Envelope = {}): Command {
  const hash = requestHash(operation, envelope.expectedRevision, body)
  return { operation, key, requestHash: hash, actor: 'anonymous', body, ...envelope }
}

export function open(
  operation: string,
  key: string,
  body: Partial<Omit<OpenOperation, 'type'>> = {},
  envelope: Envelope = {},
): Command {
  return command(operation, key, { type: 'OpenOperation', pipeline: 'any', ...body }, envelope)
}

export function report(
  operation: string,
  key: string,
  status: string,
  body: Partial<Omit<ReportStatus, 'type' | 'status'>> = {},
  envelope: Envelope = {},
): Command {
  return command(operation, key, { type: 'ReportStatus', service: 'ocr', status, ...body }, envelope)
}

export type Accepted = Extract<CommandResult, { kind: 'accepted' }>

export function accepted(result: CommandResult): Accepted {
  if (result.kind !== 'accepted') throw new Error(`not accepted: ${JSON.stringify(result, bigintsAsText)}`)
  return result
}

/** `accepted`, or the code of a refusal or failure. */
export function codeOf(result: CommandResult): string {
  switch (result.kind) {
    case 'accepted':
      return 'accepted'
    case 'refused':
      return result.refusal.code
    case 'failed':
      return result.failure.code
    default:
      return result satisfies never
  }
}

function bigintsAsText(_member: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}

/** Waits for what a test can see but not await, a turn of the event loop at a time. */
export async function until(holds: () => boolean, turnsMax = 10_000): Promise<void> {
  for (let turn = 0; turn < turnsMax; turn += 1) {
    if (holds()) return
    await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error(`did not come to hold: ${holds.toString()}`)
}

export const linear = { statuses: ['new', 'read', 'checked', 'done'], outOfOrder: 'reject' }
export const advancing = { statuses: ['new', 'read', 'checked', 'done'], outOfOrder: 'advance' }
export const holding = { statuses: ['new', 'read', 'checked', 'done'], outOfOrder: 'hold' }

export async function definePipeline(
  node: Node,
  name: string,
  definition: unknown,
  key = `define-${name}`,
): Promise<void> {
  const result = await node.commands.definePipeline({ name, definition, key, actor: 'anonymous' })
  if (result.kind !== 'defined' && result.kind !== 'unchanged') {
    throw new Error(`not defined: ${JSON.stringify(result, bigintsAsText)}`)
  }
}
