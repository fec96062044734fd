// The demo's proof must be able to fail. Each case plants one fault in a faithful record of an operation, as a service
// that lost, doubled, altered or reordered reports would show it (with a hash chain that is right again, unless the chain
// is what is tested), and expects the check that is there for it.
import { describe, expect, it } from 'vitest'
import type { Report } from '../../src/client/client.ts'
import type { JsonObject } from '../../src/demo/json.ts'
import type { Answer, OperationRecord } from '../../src/demo/ledger.ts'
import { openRecord } from '../../src/demo/ledger.ts'
import { expectedEnds } from '../../src/demo/pipeline.ts'
import type { PlannedCommand, Role } from '../../src/demo/plan.ts'
import { checkOperation } from '../../src/demo/proof/checkOperation.ts'
import { createFindings } from '../../src/demo/proof/findings.ts'
import { foldEvents } from '../../src/demo/proof/foldEvents.ts'
import { hashOf } from '../../src/demo/proof/hashChain.ts'
import type { LoggedEvent } from '../../src/demo/proof/loggedEvent.ts'

interface Draft {
  readonly type: string
  readonly key: string
  readonly cause?: string
  readonly data: JsonObject
}

const id = 'demo-1'

function report(service: Role, key: string, body: Omit<Report, 'service'>): PlannedCommand {
  return {
    kind: 'report',
    key,
    service,
    body: { service, ...body },
    dueMs: 0,
    mishap: 'none',
    mayBeRefused: false,
  }
}

const opening: PlannedCommand = {
  kind: 'open',
  key: 'open',
  service: 'gateway',
  body: { id, pipeline: 'p', theme: 'push', data: { event: 'push', document: { n: 1.5 } } },
  dueMs: 0,
  mishap: 'none',
  mayBeRefused: false,
}
const main = (status: string) => ({ status, data: { [`by ${status}`]: true, progress: status } })
const commands = [
  opening,
  report('validator', 'k1', main('validated')),
  report('scanner', 'k2', { track: 'scan', status: 'scanning', sequence: 1 }),
  report('enricher', 'k3', main('enriched')),
  report('publisher', 'k4', main('published')),
  report('scanner', 'k5', { track: 'scan', status: 'clean', sequence: 2, data: { scan: { verdict: 'clean' } } }),
  report('indexer', 'k6', { track: 'index', status: 'indexing', metadata: { shard: '4' } }),
  report('indexer', 'k7', { track: 'index', status: 'indexed' }),
  report('archivist', 'k8', main('archived')),
  report('validator', 'k9', main('validated')),
]

function applied(command: PlannedCommand, from: string, cause = command.key): Draft {
  const { status, track, ...facts }: JsonObject = { ...command.body }
  const data = { track: track ?? 'main', from, to: status ?? null, ...facts }
  return { type: 'StatusChanged', key: command.key, cause, data }
}

function noted(type: 'ReportHeld' | 'ReportIgnored', command: PlannedCommand, reason: string): Draft {
  const { track, ...facts }: JsonObject = { ...command.body }
  return { type, key: command.key, data: { track: track ?? 'main', ...facts, reason } }
}

function command(key: string): PlannedCommand {
  const found = commands.find((candidate) => candidate.key === key)
  if (found === undefined) throw new Error(key)
  return found
}

/** What a faithful service has on record: the publisher came before the scan was clean, the second validation late. */
const drafts: readonly Draft[] = [
  {
    type: 'OperationOpened',
    key: 'open',
    data: { pipeline: { name: 'p', version: 1 }, theme: 'push', data: opening.body.data ?? {}, metadata: {} },
  },
  applied(command('k1'), 'received'),
  applied(command('k2'), 'queued'),
  applied(command('k3'), 'validated'),
  noted('ReportHeld', command('k4'), 'requirement_unmet'),
  applied(command('k5'), 'scanning'),
  applied(command('k4'), 'enriched', 'k5'),
  applied(command('k6'), 'pending'),
  applied(command('k7'), 'indexing'),
  applied(command('k8'), 'published'),
  noted('ReportIgnored', command('k9'), 'overtaken'),
]

/** Seals drafts as the service does: consecutive revisions, a hash chain over the bytes. */
function seal(from: readonly Draft[]): LoggedEvent[] {
  let previousHash = '0'.repeat(64)
  return from.map((draft, revision) => {
    const metadata = {
      command: draft.key,
      $causationId: draft.cause ?? draft.key,
      recordedAt: `2026-01-01T00:00:${String(revision).padStart(2, '0')}.000Z`,
      previousHash,
    }
    const bare: LoggedEvent = {
      stream: `operation-${id}`,
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

function answer(revision: number, outcome = 'applied', reason: string | null = null): Answer {
  return { httpStatus: 200, outcome, reason, revision, position: `p${revision}`, code: null }
}

/** The receipts that go with `drafts`. */
const receipts: Readonly<Record<string, Answer>> = {
  open: answer(0, 'opened'),
  k1: answer(1),
  k2: answer(2),
  k3: answer(3),
  k4: answer(4, 'held', 'requirement_unmet'),
  k5: answer(6),
  k6: answer(7),
  k7: answer(8),
  k8: answer(9),
  k9: answer(10, 'ignored', 'overtaken'),
}

interface Planted {
  drafts?: readonly Draft[]
  /** Changes the sealed events. */
  events?: (events: LoggedEvent[]) => LoggedEvent[]
  answers?: Readonly<Record<string, readonly Answer[]>>
  view?: (view: JsonObject) => JsonObject | null
  listed?: (view: JsonObject) => JsonObject | null
}

function faultsOf(planted: Planted): string[] {
  const sealed = seal(planted.drafts ?? drafts)
  const events = planted.events?.(sealed) ?? sealed
  const record: OperationRecord = openRecord({
    id,
    pipeline: 'p',
    policy: 'advance',
    fate: 'archived',
    expected: expectedEnds.archived,
    commands,
    raced: false,
  })
  for (const sent of record.sent) {
    const { key } = sent.command
    sent.answers.push(...(planted.answers?.[key] ?? [receipts[key] ?? answer(0)]))
  }
  const folded = foldEvents(events, 'advance', () => undefined)
  const tracks = Object.fromEntries(
    Object.entries(folded.tracks).map(([name, track]) => [name, { ...track, held: [] }]),
  )
  const { held: _, ...members } = folded
  const view: JsonObject = { id, pipeline: { name: 'p', version: 1 }, theme: 'push', ...members, tracks }
  const findings = createFindings()
  const show = (change: ((body: JsonObject) => JsonObject | null) | undefined) => (change ? change(view) : view)
  checkOperation(record, { events, byId: show(planted.view), listed: show(planted.listed) }, findings)
  return [...new Set(findings.faults.map((fault) => fault.check))]
}

const without = (key: string): readonly Draft[] => drafts.filter((draft) => draft.key !== key)
const inPlace = (at: number, draft: Draft): readonly Draft[] => drafts.with(at, draft)
const draftAt = (at: number): Draft => drafts[at] ?? applied(command('k1'), 'received')

describe('the proof', () => {
  it('finds nothing wrong with a faithful record', () => {
    expect(faultsOf({})).toEqual([])
  })

  it('finds a report that was taken and lost', () => {
    expect(faultsOf({ drafts: without('k9') })).toContain('recorded')
    expect(faultsOf({ drafts: without('k6') })).toContain('recorded')
  })

  it('finds a report that was applied twice', () => {
    const twice = { ...draftAt(7), type: 'DataMerged', data: { ...draftAt(7).data, status: 'indexing' } }
    expect(faultsOf({ drafts: drafts.toSpliced(8, 0, twice) })).toContain('recorded')
  })

  it('finds a report that was held twice, or is held for ever', () => {
    expect(faultsOf({ drafts: drafts.toSpliced(5, 0, draftAt(4)) })).toContain('recorded')
    expect(faultsOf({ drafts: drafts.toSpliced(6, 1) })).toContain('recorded')
  })

  it('finds a newer status that an older report overwrote', () => {
    const late = { ...applied(command('k9'), 'archived') }
    expect(faultsOf({ drafts: inPlace(10, late) })).toContain('order')
  })

  it('finds newer data that an older report overwrote', () => {
    const merged = { type: 'DataMerged', key: 'k9', data: { ...draftAt(10).data, status: 'archived' } }
    expect(faultsOf({ drafts: inPlace(10, merged) })).toContain('order')
  })

  it('finds an older sequence that was applied', () => {
    const swapped = [
      ...drafts.slice(0, 2),
      applied(command('k5'), 'queued'),
      ...drafts.slice(3, 5),
      { ...applied(command('k2'), 'clean') },
      ...drafts.slice(6),
    ]
    expect(faultsOf({ drafts: swapped })).toContain('order')
  })

  it('finds a move before its join was met, and a track that moves before it starts', () => {
    expect(faultsOf({ drafts: inPlace(4, applied(command('k4'), 'enriched')).toSpliced(6, 1) })).toContain('order')
    expect(
      faultsOf({ drafts: [draftAt(0), draftAt(7), draftAt(1), ...drafts.slice(2, 7), ...drafts.slice(8)] }),
    ).toContain('order')
  })

  it('finds a revision that is missing, and one that is there twice', () => {
    expect(faultsOf({ events: (events) => events.toSpliced(3, 1) })).toContain('revisions')
    expect(faultsOf({ events: (events) => events.toSpliced(3, 0, ...events.slice(3, 4)) })).toContain('revisions')
  })

  it('finds a byte that was changed after the fact', () => {
    const tampered = (events: LoggedEvent[]): LoggedEvent[] =>
      events.map((event) => ({ ...event, dataText: event.dataText.replace('1.5', '1.6') }))
    expect(faultsOf({ events: tampered })).toEqual(['chain'])
  })

  it('finds an event that was cut out although those after it were renumbered', () => {
    const cut = (events: LoggedEvent[]): LoggedEvent[] =>
      events.toSpliced(10, 1).map((event, revision) => ({ ...event, revision }))
    expect(faultsOf({ events: cut })).toContain('recorded')
    const middle = (events: LoggedEvent[]): LoggedEvent[] =>
      events.toSpliced(7, 1).map((event, revision) => ({ ...event, revision }))
    expect(faultsOf({ events: middle })).toContain('chain')
  })

  it('finds a report whose words were altered', () => {
    const altered = { ...draftAt(7), data: { ...draftAt(7).data, metadata: { shard: '5' } } }
    expect(faultsOf({ drafts: inPlace(7, altered) })).toContain('faithful')
  })

  it('finds what nobody sent, and what was refused', () => {
    const foreign = { ...draftAt(10), key: 'nobody' }
    expect(faultsOf({ drafts: [...drafts, foreign] })).toContain('invented')
    const refused: Answer = { ...answer(10), httpStatus: 409, outcome: null, code: 'transition_not_allowed' }
    expect(faultsOf({ answers: { k9: [refused] } })).toEqual(expect.arrayContaining(['invented', 'recorded']))
  })

  it('finds a repeat that got another receipt, and a receipt that points elsewhere', () => {
    expect(faultsOf({ answers: { k2: [answer(2), answer(2)] } })).toEqual([])
    expect(faultsOf({ answers: { k2: [answer(2), answer(3)] } })).toEqual(['receipts'])
    expect(faultsOf({ answers: { k2: [answer(3)] } })).toEqual(['receipts'])
  })

  it('finds an operation that did not end as its document had to', () => {
    expect(faultsOf({ drafts: drafts.slice(0, 9) })).toContain('end')
  })

  it('finds a read that differs from what the events fold to', () => {
    expect(faultsOf({ view: (view) => ({ ...view, state: 'active' }) })).toEqual(['readById'])
    expect(faultsOf({ listed: (view) => ({ ...view, data: {} }) })).toEqual(['list'])
    expect(faultsOf({ listed: () => null })).toEqual(['list'])
  })
})
