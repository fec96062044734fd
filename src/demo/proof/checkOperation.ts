import { isObject, type Json, type JsonObject, sameJson, textOf } from '../json.ts'
import { appended, type OperationRecord, type SentCommand } from '../ledger.ts'
import type { PlannedCommand } from '../plan.ts'
import type { Patches } from './documents.ts'
import type { Findings } from './findings.ts'
import { type FoldedOperation, foldEvents } from './foldEvents.ts'
import { checkChain } from './hashChain.ts'
import { causeOf, keyOf, type LoggedEvent } from './loggedEvent.ts'

/** What the service shows of one operation once all is over. */
export interface Shown {
  /** `/v1/operations/{id}/events`, all pages. */
  readonly events: readonly LoggedEvent[]
  /** `/v1/operations/{id}?consistency=strong`; null when there is none. */
  readonly byId: JsonObject | null
  /** The operation's row of `/v1/operations?idPrefix=`; null when it is in no page. */
  readonly listed: JsonObject | null
}

/** Compares what was sent and answered with what the service shows. Returns what the events fold to. */
export function checkOperation(record: OperationRecord, shown: Shown, findings: Findings): FoldedOperation {
  const { plan } = record
  const { events } = shown
  checkRevisions(plan.id, events, findings)
  checkChain(events, findings)
  const byKey = groupByKey(events)
  const known = new Set(record.sent.map((sent) => sent.command.key))
  for (const [key, [event]] of byKey) {
    if (!known.has(key)) findings.fault('invented', plan.id, `revision ${event?.revision} under the unknown key ${key}`)
  }
  findings.looked('order', events.length)
  const sentDocuments = new Map(record.sent.map(({ command }) => [command.key, patchesOf(command.body)]))
  const folded = foldEvents(events, {
    policy: plan.policy,
    complain: (event, detail) =>
      findings.fault('order', plan.id, `revision ${event.revision}, ${keyOf(event)}: ${detail}`),
    sent: (key) => sentDocuments.get(key),
  })
  const log = { events, wordless: folded.wordless }
  for (const { command, answers } of folded.undescribed ? record.sent : []) {
    if (command.kind !== 'open' || !answers.some((answer) => answer.code !== null)) continue
    findings.fault('recorded', plan.id, `${command.key} was refused, and nothing has described the operation`)
  }
  for (const sent of record.sent) checkCommand(plan.id, sent, log, byKey.get(sent.command.key) ?? [], findings)
  checkEnd(record, folded, findings)
  checkView('readById', record, shown.byId, folded, findings)
  checkView('list', record, shown.listed, folded, findings)
  return folded
}

function groupByKey(events: readonly LoggedEvent[]): Map<string, LoggedEvent[]> {
  const groups = new Map<string, LoggedEvent[]>()
  for (const event of events) {
    const group = groups.get(keyOf(event))
    if (group === undefined) groups.set(keyOf(event), [event])
    else group.push(event)
  }
  return groups
}

function checkRevisions(id: string, events: readonly LoggedEvent[], findings: Findings): void {
  findings.looked('revisions', events.length)
  for (const [index, event] of events.entries()) {
    if (event.revision !== index) findings.fault('revisions', id, `revision ${event.revision} stands at ${index}`)
    if (event.stream !== `operation-${id}`) findings.fault('revisions', id, `an event of ${event.stream}`)
  }
}

/** An operation's events, and which of them are to carry no documents. */
interface Log extends Pick<FoldedOperation, 'wordless'> {
  readonly events: readonly LoggedEvent[]
}

function checkCommand(
  id: string,
  sent: SentCommand,
  { events, wordless }: Log,
  own: readonly LoggedEvent[],
  findings: Findings,
): void {
  const { command, answers } = sent
  const receipts = answers.filter(appended)
  const [receipt] = receipts
  const refused = answers.find((answer) => answer.code !== null && answer.httpStatus < 500)
  if (refused !== undefined && !command.mayBeRefused) {
    findings.fault('recorded', id, `${command.key} was refused: ${refused.httpStatus} ${refused.code}`)
  }
  if (receipt === undefined) {
    findings.looked('invented')
    if (own.length > 0) findings.fault('invented', id, `${command.key} is in the log, though no answer said so`)
  } else {
    findings.looked('recorded')
    checkRecordedOnce(id, sent, own, findings)
    findings.looked('faithful', own.length)
    for (const event of own) checkFaithful(id, sent, event, wordless.has(event.revision), findings)
    findings.looked('receipts', receipts.length)
    const said = saidOf(own)
    if (said !== null && (receipt.outcome !== said.outcome || receipt.reason !== said.reason)) {
      const told = `${receipt.outcome} ${receipt.reason}`
      findings.fault('receipts', id, `${command.key} was told ${told}, the log says ${said.outcome} ${said.reason}`)
    }
    for (const other of receipts.slice(1)) {
      const same = other.revision === receipt.revision && other.position === receipt.position
      if (!same || other.outcome !== receipt.outcome || other.reason !== receipt.reason) {
        findings.fault('receipts', id, `${command.key} got two receipts: ${receipt.revision} and ${other.revision}`)
      }
    }
    const last = lastOfAppend(events, command.key)
    if (last !== undefined && (last.revision !== receipt.revision || last.position !== receipt.position)) {
      findings.fault('receipts', id, `${command.key}: the receipt says ${receipt.revision}, the log ${last.revision}`)
    }
  }
  for (const answer of sent.reuseAnswers) {
    findings.looked('receipts')
    if (answer.httpStatus !== 422 || answer.code !== 'key_reused') {
      findings.fault('receipts', id, `${command.key} with another body: ${answer.httpStatus} ${answer.code}`)
    }
  }
}

/** One event that settles the report; before it one that held it, if it had to wait; one that opens comes first of all. */
function checkRecordedOnce(id: string, sent: SentCommand, own: readonly LoggedEvent[], findings: Findings): void {
  const { key, kind } = sent.command
  const opened = own.filter((event) => event.type === 'OperationOpened')
  const held = own.filter((event) => event.type === 'ReportHeld')
  const settled = own.filter((event) => !opened.includes(event) && !held.includes(event))
  const problem = (detail: string): void => findings.fault('recorded', id, `${key} ${detail}`)
  if (own.length === 0) problem('was taken and is not in the log')
  else if (kind === 'open') {
    const [only] = own
    const opens = only?.type === 'OperationOpened' || only?.type === 'OperationDescribed'
    if (!opens || own.length !== 1) problem(`opened the operation with ${own.length} events`)
  } else if (own.some((event) => event.type === 'OperationDescribed'))
    problem('is a report and describes the operation')
  else if (opened.length > 1) problem(`opened the operation ${opened.length} times`)
  else if (settled.length > 1) problem(`was applied ${settled.length} times`)
  else if (held.length > 1) problem(`was held ${held.length} times`)
  else if (settled.length === 0 && held.length === 1) problem('is still held')
  else if (settled.length === 0) problem('opened the operation, and what it reported is not in the log')
}

function checkFaithful(id: string, sent: SentCommand, event: LoggedEvent, wordless: boolean, findings: Findings): void {
  const { key, kind } = sent.command
  const body: Readonly<Record<string, Json>> = { ...sent.command.body }
  const differs = (member: string): void =>
    findings.fault('faithful', id, `${key}: ${member} at revision ${event.revision} is not what was sent`)
  if (event.type === 'OperationOpened') {
    const expected: Readonly<Record<string, Json>> = kind === 'open' ? body : {}
    if (!sameJson(event.data.data, expected.data ?? {})) differs('data')
    if (!sameJson(event.data.metadata, expected.metadata ?? {})) differs('metadata')
    if (event.data.theme !== (expected.theme ?? null)) differs('theme')
    return
  }
  if (event.type === 'OperationDescribed') {
    for (const member of ['theme', 'data', 'metadata']) {
      if (!sameJson(event.data[member] ?? null, body[member] ?? null)) differs(member)
    }
    return
  }
  const status = event.type === 'StatusChanged' ? event.data.to : event.data.status
  if (status !== body.status) differs('status')
  if (event.data.track !== (body.track ?? 'main')) differs('track')
  for (const member of ['service', 'sequence', 'observedAt']) {
    if (!sameJson(event.data[member] ?? null, body[member] ?? null)) differs(member)
  }
  for (const member of ['data', 'metadata']) {
    if (!sameJson(event.data[member] ?? null, wordless ? null : (body[member] ?? null))) differs(member)
  }
}

function patchesOf(body: PlannedCommand['body']): Patches {
  const { data, metadata }: JsonObject = { ...body }
  return { ...(isObject(data) ? { data } : null), ...(isObject(metadata) ? { metadata } : null) }
}

/** What the command's first sending must have been told; null when nothing of it is in the log. */
function saidOf(own: readonly LoggedEvent[]): { readonly outcome: string; readonly reason: string | null } | null {
  const report = own.find((event) => event.type !== 'OperationOpened') ?? own[0]
  switch (report?.type) {
    case undefined:
      return null
    case 'ReportHeld':
      return { outcome: 'held', reason: textOf(report.data.reason) }
    case 'ReportIgnored':
      return { outcome: 'ignored', reason: textOf(report.data.reason) }
    case 'OperationOpened':
    case 'OperationDescribed':
      return { outcome: 'opened', reason: null }
    default:
      return { outcome: 'applied', reason: null }
  }
}

/** The last event of the append that `key` made: its own first event and what it released, which follow without a gap. */
function lastOfAppend(events: readonly LoggedEvent[], key: string): LoggedEvent | undefined {
  const first = events.findIndex((event) => causeOf(event) === key)
  if (first === -1) return undefined
  let last = first
  for (let next = events[last + 1]; next !== undefined && causeOf(next) === key; next = events[last + 1]) last += 1
  return events[last]
}

function checkEnd(record: OperationRecord, folded: FoldedOperation, findings: Findings): void {
  const { id, expected } = record.plan
  findings.looked('end')
  if (folded.state !== expected.state) findings.fault('end', id, `${folded.state} instead of ${expected.state}`)
  for (const [name, track] of Object.entries(expected.tracks)) {
    const found = folded.tracks[name]
    if (found?.phase !== track.phase || found.status !== track.status) {
      findings.fault('end', id, `${name} is ${found?.phase} ${found?.status}, not ${track.phase} ${track.status}`)
    }
  }
  const final = expected.tracks.main?.status ?? null
  if (folded.data.progress !== final)
    findings.fault('order', id, `data says ${textOf(folded.data.progress)}, not ${final}`)
  for (const key of folded.held) findings.fault('recorded', id, `${key} is still held`)
}

function checkView(
  check: 'readById' | 'list',
  record: OperationRecord,
  view: JsonObject | null,
  folded: FoldedOperation,
  findings: Findings,
): void {
  const { id, pipeline } = record.plan
  findings.looked(check)
  if (view === null) {
    findings.fault(check, id, 'is not there')
    return
  }
  const tracks = Object.fromEntries(
    Object.entries(folded.tracks).map(([name, track]) => [name, { ...track, held: [] }]),
  )
  const expected: Readonly<Record<string, Json | undefined>> = {
    id,
    theme: folded.theme,
    state: folded.state,
    blocked: folded.blocked,
    tracks,
    data: folded.data,
    metadata: folded.metadata,
    revision: folded.revision,
    openedAt: folded.openedAt,
    updatedAt: folded.updatedAt,
  }
  for (const [member, value] of Object.entries(expected)) {
    if (!sameJson(view[member], value)) findings.fault(check, id, `${member} is not what the events fold to`)
  }
  if (!isObject(view.pipeline) || view.pipeline.name !== pipeline) findings.fault(check, id, 'names another pipeline')
}
