import type { Report } from '../../../src/client/client.ts'
import { isObject, type JsonObject } from '../../../src/demo/json.ts'
import { type Answer, type OperationRecord, openRecord } from '../../../src/demo/ledger.ts'
import { expectedEnds, type Fate } from '../../../src/demo/pipeline.ts'
import type { PlannedCommand, Role } from '../../../src/demo/plan.ts'
import { checkOperation } from '../../../src/demo/proof/checkOperation.ts'
import { createFindings } from '../../../src/demo/proof/findings.ts'
import { foldEvents } from '../../../src/demo/proof/foldEvents.ts'
import { hashOf } from '../../../src/demo/proof/hashChain.ts'
import type { LoggedEvent } from '../../../src/demo/proof/loggedEvent.ts'

/** An event that is not in its envelope yet. */
export interface Draft {
  readonly type: string
  readonly key: string
  readonly cause?: string
  readonly data: JsonObject
}

export const operationId = 'demo-1'

export function report(service: Role, key: string, body: Omit<Report, 'service'>): PlannedCommand {
  return { kind: 'report', key, service, body: { service, ...body }, dueMs: 0, mishap: 'none', mayBeRefused: false }
}

export function applied(command: PlannedCommand, from: string, cause = command.key): Draft {
  const { status, track, ...facts }: JsonObject = { ...command.body }
  return {
    type: 'StatusChanged',
    key: command.key,
    cause,
    data: { track: track ?? 'main', from, to: status ?? null, ...facts },
  }
}

export function mergedData(command: PlannedCommand): Draft {
  const { track, pipeline: _, ...facts }: JsonObject = { ...command.body }
  return { type: 'DataMerged', key: command.key, data: { track: track ?? 'main', ...facts } }
}

export function noted(
  type: 'ReportHeld' | 'ReportIgnored',
  command: PlannedCommand,
  reason: string,
  cause = command.key,
): Draft {
  const { track, ...facts }: JsonObject = { ...command.body }
  return { type, key: command.key, cause, data: { track: track ?? 'main', ...facts, reason } }
}

/** Seals drafts as the service does: consecutive revisions, a hash chain over the bytes. */
export function seal(from: readonly Draft[]): LoggedEvent[] {
  let previousHash = '0'.repeat(64)
  return from.map((draft, revision) => {
    const metadata = {
      command: draft.key,
      $causationId: draft.cause ?? draft.key,
      recordedAt: `2026-01-01T00:00:${String(revision).padStart(2, '0')}.000Z`,
      previousHash,
    }
    const bare: LoggedEvent = {
      stream: `operation-${operationId}`,
      revision,
      position: `p${revision}`,
      type: draft.type,
      data: draft.data,
      metadata,
      dataText: JSON.stringify(draft.data),
      metadataText: JSON.stringify(metadata),
    }
    const hash = hashOf(bare, previousHash)
    previousHash = hash
    return { ...bare, metadataText: `${bare.metadataText.slice(0, -1)},"hash":"${hash}"}` }
  })
}

export function answer(revision: number, outcome = 'applied', reason: string | null = null): Answer {
  return { httpStatus: 200, outcome, reason, revision, position: `p${revision}`, code: null }
}

/** What a faithful service has answered whose log holds these drafts. */
export function receiptOf(drafts: readonly Draft[], key: string): Answer {
  const causeOf = ({ key: own, cause = own }: Draft): string => cause
  const report = drafts.find((draft) => draft.key === key && draft.type !== 'OperationOpened')
  const revision = drafts.findLastIndex((draft) => causeOf(draft) === key)
  const { reason } = report?.data ?? {}
  const told = typeof reason === 'string' ? reason : null
  switch (report?.type) {
    case 'ReportHeld':
      return answer(revision, 'held', told)
    case 'ReportIgnored':
      return answer(revision, 'ignored', told)
    case 'OperationDescribed':
    case undefined:
      return answer(revision, 'opened')
    default:
      return answer(revision)
  }
}

export interface Planted {
  readonly commands: readonly PlannedCommand[]
  readonly drafts: readonly Draft[]
  readonly fate?: Fate
  /** Changes the sealed events. */
  readonly events?: (events: LoggedEvent[]) => LoggedEvent[]
  /** By key. Default: what goes with the drafts. */
  readonly answers?: Readonly<Record<string, readonly Answer[]>>
  readonly view?: (view: JsonObject) => JsonObject | null
  readonly listed?: (view: JsonObject) => JsonObject | null
}

/** The checks that find something wrong with an operation that was sent, recorded and answered so. */
export function faultsOf(planted: Planted): string[] {
  const { commands, drafts, fate = 'archived' } = planted
  const sealed = seal(drafts)
  const events = planted.events?.(sealed) ?? sealed
  const record: OperationRecord = openRecord({
    id: operationId,
    pipeline: 'p',
    policy: 'advance',
    fate,
    expected: expectedEnds[fate],
    commands,
    raced: false,
  })
  for (const sent of record.sent) {
    const { key } = sent.command
    sent.answers.push(...(planted.answers?.[key] ?? [receiptOf(drafts, key)]))
  }
  const bodies = new Map(commands.map(({ key, body }): [string, JsonObject] => [key, { ...body }]))
  const folded = foldEvents(events, {
    policy: 'advance',
    complain: () => undefined,
    sent: (key) => {
      const { data, metadata } = bodies.get(key) ?? {}
      return { ...(isObject(data) ? { data } : {}), ...(isObject(metadata) ? { metadata } : {}) }
    },
  })
  const tracks = Object.fromEntries(
    Object.entries(folded.tracks).map(([name, track]) => [name, { ...track, held: [] }]),
  )
  const { held: _held, wordless: _wordless, undescribed: _undescribed, ...members } = folded
  const view: JsonObject = { id: operationId, pipeline: { name: 'p', version: 1 }, ...members, tracks }
  const findings = createFindings()
  const show = (change: ((body: JsonObject) => JsonObject | null) | undefined) => (change ? change(view) : view)
  checkOperation(record, { events, byId: show(planted.view), listed: show(planted.listed) }, findings)
  return [...new Set(findings.faults.map((fault) => fault.check))]
}
