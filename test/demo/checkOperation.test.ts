// The demo's proof must be able to fail. Each case plants one fault in a faithful record of an operation, as a service
// that lost, doubled, altered or reordered reports would show it (with a hash chain that is right again, unless the chain
// is what is tested), and expects the check that is there for it.
import { describe, expect, it } from 'vitest'
import type { Answer } from '../../src/demo/ledger.ts'
import type { PlannedCommand } from '../../src/demo/plan.ts'
import type { LoggedEvent } from '../../src/demo/proof/loggedEvent.ts'
import {
  answer,
  applied,
  type Draft,
  faultsOf as faultsOfOperation,
  noted,
  operationId,
  type Planted,
  receiptOf,
  report,
} from './support/recordedOperation.ts'

const opening: PlannedCommand = {
  kind: 'open',
  key: 'open',
  service: 'gateway',
  body: { id: operationId, pipeline: 'p', theme: 'push', data: { event: 'push', document: { n: 1.5 } } },
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

function faultsOf(planted: Partial<Planted>): string[] {
  // The answers stay those that go with the faithful record.
  const answers = Object.fromEntries(commands.map(({ key }) => [key, [receiptOf(drafts, key)]]))
  return faultsOfOperation({ commands, drafts, ...planted, answers: { ...answers, ...planted.answers } })
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
