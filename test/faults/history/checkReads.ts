import type { Call, Consistency, ListCall, ReadCall, SeenOperation, WriteCall } from './call.ts'
import { isWrite } from './call.ts'
import type { Faults } from './faults.ts'
import type { LoggedStream, LogIndex } from './logIndex.ts'
import type { Timeline } from './timeline.ts'

/**
 * What reads promise about time. Each holds all of an operation up to the position it names (`Waybill-Position`), which is
 * never below the `minPosition` asked for; a strong one holds all that anybody had been shown before it began; what was
 * accepted is never 404; and nothing is shown before it was sent. That a read shows the fold of the log is for
 * checkOperations.ts.
 */
export function checkReads(
  calls: readonly Call[],
  log: LogIndex,
  timeline: Timeline,
  appendsNothing: (call: WriteCall) => boolean,
  faults: Faults,
): void {
  const operations = operationsOf(log)
  for (const call of calls) {
    if (call.kind === 'feed') continue
    if (isWrite(call)) {
      if (appendsNothing(call)) checkDecision(call, log, timeline, faults)
    } else if (call.answer.kind === 'unexpected') {
      faults.add('unexpected_answer', null, `${call.answer.status} ${call.answer.text}`, { calls: [call] })
    } else if (call.kind === 'read') checkRead(call, log, timeline, faults)
    else checkList(call, operations, log, timeline, faults)
  }
}

function checkRead(call: ReadCall, log: LogIndex, timeline: Timeline, faults: Faults): void {
  const { answer, operation, consistency, startUs } = call
  const stream = `operation-${operation}`
  const known = timeline.revisionKnownBefore(stream, startUs)
  if (answer.kind === 'absent') {
    if (known >= 0n) faults.add('stale_read', stream, `404, and revision ${known} had been shown`, { calls: [call] })
    return
  }
  if (answer.kind !== 'found') return
  const late = staleness(call, consistency, BigInt(answer.foldedTo), timeline)
  if (late !== null) faults.add('stale_read', stream, late, { calls: [call] })
  if (consistency.kind === 'strong' && BigInt(answer.revision) < known) {
    const detail = `a strong read shows revision ${answer.revision}, and ${known} had been shown before it began`
    faults.add('stale_read', stream, detail, { calls: [call] })
  }
  checkSeen(answer, BigInt(answer.foldedTo), call, log.streams.get(stream), timeline, faults)
}

function checkList(
  call: ListCall,
  operations: readonly LoggedStream[],
  log: LogIndex,
  timeline: Timeline,
  faults: Faults,
): void {
  const { answer, idPrefix, consistency } = call
  if (answer.kind !== 'listed') return
  const foldedTo = BigInt(answer.foldedTo)
  const brief = (seen: readonly SeenOperation[]): Call => ({ ...call, answer: { ...answer, operations: seen } })
  const late = staleness(call, consistency, foldedTo, timeline)
  if (late !== null) faults.add('stale_read', null, late, { calls: [brief([])] })
  const listed = new Set<string>()
  for (const seen of answer.operations) {
    listed.add(`operation-${seen.operation}`)
    checkSeen(seen, foldedTo, brief([seen]), log.streams.get(`operation-${seen.operation}`), timeline, faults)
  }
  if (!answer.complete) return
  for (const { name, events } of operations) {
    const [first] = events
    if (first === undefined || first.position > foldedTo || listed.has(name)) continue
    if (!name.startsWith(`operation-${idPrefix}`)) continue
    const detail = `a list up to ${foldedTo} lacks the operation, which was opened at ${first.position}`
    faults.add('stale_read', name, detail, { calls: [brief([])], events: [first] })
  }
}

function staleness(call: Call, consistency: Consistency, foldedTo: bigint, timeline: Timeline): string | null {
  const { kind, minPosition } = consistency
  if (minPosition !== undefined && foldedTo < BigInt(minPosition)) {
    return `asked for position ${minPosition}, and answered up to ${foldedTo}`
  }
  if (kind !== 'strong') return null
  const known = timeline.positionKnownBefore(call.startUs)
  return foldedTo < known ? `a strong read goes up to ${foldedTo}, and ${known} had been shown before it began` : null
}

/** One operation as an answer shows it that holds everything up to `foldedTo`. */
function checkSeen(
  seen: SeenOperation,
  foldedTo: bigint,
  call: Call,
  stream: LoggedStream | undefined,
  timeline: Timeline,
  faults: Faults,
): void {
  if (seen.parked === true) {
    faults.add('read_model_parked', `operation-${seen.operation}`, 'it is shown as parked', { calls: [call] })
  }
  if (stream === undefined) return
  const missing = stream.events[Number(seen.revision) + 1]
  if (missing !== undefined && missing.position <= foldedTo) {
    const detail = `answered up to ${foldedTo}, and lacks revision ${missing.revision}, at ${missing.position}`
    faults.add('stale_read', stream.name, detail, { calls: [call], events: [missing] })
  }
  checkFuture(BigInt(seen.revision), call, stream, timeline, faults)
}

/** A refusal, or an acceptance that appended nothing, rests on the state of its time. */
function checkDecision(call: WriteCall, log: LogIndex, timeline: Timeline, faults: Faults): void {
  const { answer, stream, startUs, body } = call
  if (answer.kind !== 'accepted' && answer.kind !== 'refused') return
  const known = timeline.revisionKnownBefore(stream, startUs)
  if (answer.revision === undefined) {
    const opens = body !== null && body.type === 'ReportStatus' && body.pipeline !== undefined
    if (answer.kind === 'refused' && answer.code === 'not_found' && !opens && known >= 0n) {
      faults.add('stale_decision', stream, `not_found, and revision ${known} had been shown`, { calls: [call] })
    }
    return
  }
  const revision = BigInt(answer.revision)
  if (revision < known) {
    const detail = `decided at revision ${revision}, and ${known} had been shown before it began`
    faults.add('stale_decision', stream, detail, { calls: [call] })
  }
  const logged = log.streams.get(stream)
  if (logged !== undefined) checkFuture(revision, call, logged, timeline, faults)
}

function checkFuture(revision: bigint, call: Call, stream: LoggedStream, timeline: Timeline, faults: Faults): void {
  const append = appendAt(stream, revision)
  if (append === undefined) return
  const sentUs = timeline.firstSentUs(append)
  if (!Number.isFinite(sentUs) || sentUs <= call.endUs) return
  const detail = `it shows revision ${revision}, which key ${append.key} was sent for only later`
  faults.add('read_from_future', stream.name, detail, { calls: [call], events: append.events })
}

/** Appends are in order of their revisions. */
function appendAt({ appends }: LoggedStream, revision: bigint) {
  let [low, high] = [0, appends.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((appends[middle]?.events.at(-1)?.revision ?? 0n) < revision) low = middle + 1
    else high = middle
  }
  return appends[low]
}

function operationsOf(log: LogIndex): readonly LoggedStream[] {
  return [...log.streams.values()].filter(({ name }) => name.startsWith('operation-'))
}
