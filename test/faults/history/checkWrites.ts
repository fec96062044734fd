import type { Accepted, WriteCall } from './call.ts'
import type { CommandIndex, SentCommand } from './commandIndex.ts'
import type { Faults } from './faults.ts'
import { type Append, type LoggedReceipt, type LogIndex, receiptOf } from './logIndex.ts'

/**
 * Whether the caller was told that events were appended. What is ignored is on record, duplicates too, unless its pipeline
 * spares it: then the answer is held against the rules instead (replay.ts).
 */
export function saysAppended({ outcome }: Accepted, recordsIgnored: boolean): boolean {
  return outcome !== 'unchanged' && (outcome !== 'ignored' || recordsIgnored)
}

export type RecordsIgnored = (call: WriteCall) => boolean

export interface WriteChecks {
  readonly commands: CommandIndex
  readonly log: LogIndex
  /** Whether this call leaves an event also where it is ignored. */
  readonly recordsIgnored: RecordsIgnored
  readonly faults: Faults
}

/** Every answer to a command against the log: what was accepted is there, once, as it was said, and nothing else is. */
export function checkWrites(checks: WriteChecks): void {
  const { commands, log, faults } = checks
  for (const keys of commands.values()) {
    for (const command of keys.values()) checkCommand(command, checks)
  }
  for (const stream of log.streams.values()) {
    for (const [key, appends] of stream.byKey) {
      const [first, second] = appends
      if (second !== undefined) {
        const calls = commands.get(stream.name)?.get(key)?.calls ?? []
        faults.add('doubled_write', stream.name, `key ${key} was applied ${appends.length} times`, {
          calls,
          events: appends.flatMap((append) => append.events),
        })
      }
      if (first !== undefined && commands.get(stream.name)?.get(key) === undefined) {
        faults.add('unexplained_event', stream.name, `nobody sent key ${key}`, { events: first.events })
      }
    }
  }
}

function checkCommand(command: SentCommand, { log, recordsIgnored, faults }: WriteChecks): void {
  const { stream, key, calls } = command
  const append = log.streams.get(stream)?.byKey.get(key)?.[0]
  const receipt = append === undefined ? undefined : receiptOf(append)
  for (const call of calls) {
    const { answer } = call
    if (answer.kind === 'unexpected') {
      faults.add('unexpected_answer', stream, `${answer.status} ${answer.text}`, { calls: [call] })
    } else if (answer.kind === 'accepted' && saysAppended(answer, recordsIgnored(call))) {
      checkAccepted(call, answer, append, receipt, faults)
    } else if (answer.kind === 'accepted' || answer.kind === 'refused') {
      checkAppendedNothing(call, append, calls, recordsIgnored, faults)
    }
  }
  if (append === undefined) return
  const own = calls.filter((call) => call.requestHash === append.requestHash)
  if (own.length === 0) {
    const detail = `key ${key} was sent with other requests than the one that is in the log`
    faults.add('request_mismatch', stream, detail, { calls, events: append.events })
  } else if (own.every(({ answer }) => answer.kind === 'notTaken')) {
    faults.add('not_taken_in_log', stream, `key ${key} is in the log`, { calls: own, events: append.events })
  }
}

function checkAccepted(
  call: WriteCall,
  answer: Accepted,
  append: Append | undefined,
  receipt: LoggedReceipt | undefined,
  faults: Faults,
): void {
  const { stream, key } = call
  if (append === undefined || receipt === undefined) {
    faults.add('lost_write', stream, `key ${key}, accepted at revision ${answer.revision}, is not in the log`, {
      calls: [call],
    })
    return
  }
  if (append.requestHash !== call.requestHash) {
    faults.add('request_mismatch', stream, `key ${key} was accepted, and is in the log with another request`, {
      calls: [call],
      events: append.events,
    })
    return
  }
  const said = receiptText({ ...answer, reason: answer.reason })
  const logged = receiptText(receipt)
  if (said === logged) return
  faults.add('receipt_mismatch', stream, `key ${key} was answered ${said}; by the log it is ${logged}`, {
    calls: [call],
    events: append.events,
  })
}

function receiptText(receipt: {
  readonly outcome: string
  readonly reason: string | undefined
  readonly created: boolean
  readonly revision: bigint | string
  readonly position: bigint | string
}): string {
  const { outcome, reason, created, revision, position } = receipt
  return `${outcome}${reason === undefined ? '' : ` (${reason})`}${created ? ', created' : ''}, revision ${revision}, position ${position}`
}

/**
 * A refusal, or an acceptance without an event: the service had looked for the key's receipt and found none. So whatever
 * is in the log under the key was appended later, by a call that was still open then.
 */
function checkAppendedNothing(
  call: WriteCall,
  append: Append | undefined,
  calls: readonly WriteCall[],
  recordsIgnored: RecordsIgnored,
  faults: Faults,
): void {
  const { stream, key, answer } = call
  const sameRequest = append?.requestHash === call.requestHash
  if (answer.kind === 'refused' && answer.code === 'key_reused') {
    if (append !== undefined && !sameRequest) return
    const detail = `key ${key} is said to be used for another request, and is not`
    faults.add('wrong_refusal', stream, detail, { calls: [call], events: append?.events ?? [] })
    return
  }
  if (append === undefined) return
  const appenders = calls.filter(
    (other) => other.requestHash === append.requestHash && mayAppend(other, recordsIgnored),
  )
  // Without an answer, nobody knows when the call's append landed: perhaps only after this one was decided.
  if (appenders.some((other) => other.endUs >= call.startUs || isOpen(other))) return
  const type = appenders.length === 0 && answer.kind === 'refused' ? 'refused_in_log' : 'receipt_mismatch'
  const detail =
    appenders.length === 0
      ? `key ${key} appended nothing, by all its answers`
      : `key ${key} was in the log already, and its receipt was not found`
  faults.add(type, stream, detail, { calls: [...appenders, call], events: append.events })
}

function mayAppend(call: WriteCall, recordsIgnored: RecordsIgnored): boolean {
  const { answer } = call
  return answer.kind === 'unknown' || (answer.kind === 'accepted' && saysAppended(answer, recordsIgnored(call)))
}

function isOpen({ answer }: WriteCall): boolean {
  return answer.kind === 'unknown' && !answer.settled
}
