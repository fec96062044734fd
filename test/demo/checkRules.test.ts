// What the proof must see of the rules for senders that are wrong: marks, duplicates, deletions, descriptions, the end. Each
// case has a faithful record, in which nothing is found, and beside it one of a service that breaks the rule.
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../src/demo/json.ts'
import type { PlannedCommand } from '../../src/demo/plan.ts'
import {
  answer,
  applied,
  type Draft,
  faultsOf,
  mergedData,
  noted,
  operationId,
  report,
} from './support/recordedOperation.ts'

const main = (status: string, data: JsonObject = {}) => ({ status, data: { ...data, progress: status } })

const open = (key: string, body: JsonObject = {}): PlannedCommand => ({
  kind: 'open',
  key,
  service: 'gateway',
  body: { id: operationId, pipeline: 'p', theme: 'push', ...body },
  dueMs: 0,
  mishap: 'none',
  mayBeRefused: false,
})
const openedAs = (key: string, theme: string | null = 'push', data: JsonObject = {}): Draft => ({
  type: 'OperationOpened',
  key,
  data: { pipeline: { name: 'p', version: 1 }, theme, data, metadata: {} },
})
const described = (command: PlannedCommand): Draft => {
  const { theme = null, data }: JsonObject = { ...command.body }
  return { type: 'OperationDescribed', key: command.key, data: { theme, ...(data === undefined ? {} : { data }) } }
}

const validated = report('validator', 'validated', main('validated', { draft: 1 }))
const enriched = report('enricher', 'enriched', main('enriched'))
const scanning = report('scanner', 'scanning', { track: 'scan', status: 'scanning', sequence: 1 })
const clean = report('scanner', 'clean', { track: 'scan', status: 'clean', sequence: 2, data: { scan: 'clean' } })
const indexed = report('indexer', 'indexed', { track: 'index', status: 'indexed' })
const published = report('publisher', 'published', main('published'))
const archived = report('archivist', 'archived', main('archived', { shelf: 'cold' }))
const way = [validated, enriched, scanning, clean, indexed, published, archived]

interface Extra {
  readonly command: PlannedCommand
  readonly draft: Draft
}

/** A record of the whole way with further reports, each after the report of that key. */
function withExtras(extras: Readonly<Record<string, readonly Extra[]>>) {
  const steps: readonly (readonly [PlannedCommand, Draft])[] = [
    [open('open'), openedAs('open')],
    [validated, applied(validated, 'received')],
    [enriched, applied(enriched, 'validated')],
    [scanning, applied(scanning, 'queued')],
    [clean, applied(clean, 'scanning')],
    [indexed, applied(indexed, 'pending')],
    [published, applied(published, 'enriched')],
    [archived, applied(archived, 'published')],
  ]
  const all = steps.flatMap(([command, draft]) => [{ command, draft }, ...(extras[command.key] ?? [])])
  return { commands: all.map(({ command }) => command), drafts: all.map(({ draft }) => draft) }
}

const withoutDocuments = ({ data: { data: _data, metadata: _metadata, ...facts }, ...draft }: Draft): Draft => ({
  ...draft,
  data: facts,
})

describe('the proof of marks', () => {
  const overtaken = report('scanner', 'overtaken', { track: 'scan', status: 'scanning', sequence: 9 })
  const older = report('scanner', 'older', { track: 'scan', status: 'clean', sequence: 5, data: { scan: 'dirty' } })
  const same = report('scanner', 'same', { track: 'scan', status: 'clean', sequence: 9, data: { scan: 'dirty' } })
  const ignored = { command: overtaken, draft: noted('ReportIgnored', overtaken, 'overtaken') }

  it.each([
    ['older_sequence', older],
    ['duplicate', same],
  ])('finds a service that forgets what it ignored (%s)', (reason, late) => {
    const faithful = { command: late, draft: noted('ReportIgnored', late, reason) }
    expect(faultsOf(withExtras({ clean: [ignored, faithful] }))).toEqual([])
    const forgotten = { command: late, draft: mergedData(late) }
    expect(faultsOf(withExtras({ clean: [ignored, forgotten] }))).toContain('order')
  })

  it('finds a mark that is taken from a report that only repeats a held one', () => {
    const held = report('indexer', 'held', { track: 'index', status: 'indexing', sequence: 3 })
    const again = report('indexer', 'again', { track: 'index', status: 'indexing', sequence: 3, data: { again: true } })
    const waits = [
      { command: held, draft: noted('ReportHeld', held, 'requirement_unmet') },
      { command: again, draft: noted('ReportIgnored', again, 'duplicate') },
    ]
    const released = { command: held, draft: applied(held, 'pending', 'enriched') }
    const { commands, drafts } = withExtras({ validated: waits, enriched: [released] })
    const once = commands.filter((command, place) => commands.indexOf(command) === place)
    const moved = drafts.map((draft) => (draft.key === 'indexed' ? applied(indexed, 'indexing') : draft))
    expect(faultsOf({ commands: once, drafts: moved })).toEqual([])
    const dropped = noted('ReportIgnored', held, 'duplicate', 'enriched')
    const lost = moved.map((draft) => (draft === released.draft ? dropped : draft))
    expect(faultsOf({ commands: once, drafts: lost })).toContain('order')
    const filling = (view: JsonObject) => ({ ...view, data: { ...Object(view.data), again: true } })
    expect(faultsOf({ commands: once, drafts: moved, view: filling })).toEqual(['readById'])
  })

  it('finds held reports that were released against their sequences, or late', () => {
    const [first, second] = [
      noted('ReportHeld', clean, 'requirement_unmet'),
      noted('ReportHeld', scanning, 'requirement_unmet'),
    ]
    const begun = [openedAs('open'), first, second, applied(validated, 'received')]
    const ended = [
      applied(enriched, 'validated'),
      applied(indexed, 'pending'),
      applied(published, 'enriched'),
      applied(archived, 'published'),
    ]
    const commands = [open('open'), ...way]
    const released = [applied(scanning, 'queued', 'validated'), applied(clean, 'scanning', 'validated')]
    expect(faultsOf({ commands, drafts: [...begun, ...released, ...ended] })).toEqual([])
    const against = [
      applied(clean, 'queued', 'validated'),
      noted('ReportIgnored', scanning, 'older_sequence', 'validated'),
    ]
    expect(faultsOf({ commands, drafts: [...begun, ...against, ...ended] })).toContain('order')
    const [enriching, ...rest] = ended
    const late = [applied(scanning, 'queued', 'enriched'), applied(clean, 'scanning', 'enriched')]
    expect(faultsOf({ commands, drafts: [...begun, ...(enriching ? [enriching] : []), ...late, ...rest] })).toContain(
      'order',
    )
  })
})

describe('the proof of duplicates', () => {
  const again = report('publisher', 'again', main('published'))

  it('finds one that is not on record, or on record with documents that say nothing new', () => {
    const bare = { command: again, draft: withoutDocuments(noted('ReportIgnored', again, 'duplicate')) }
    expect(faultsOf(withExtras({ published: [bare] }))).toEqual([])
    expect(
      faultsOf(withExtras({ published: [{ ...bare, draft: noted('ReportIgnored', again, 'duplicate') }] })),
    ).toEqual(['faithful'])
    const { commands, drafts } = withExtras({ published: [bare] })
    const answers = { again: [answer(7, 'ignored', 'duplicate')] }
    expect(faultsOf({ commands, drafts: drafts.filter(({ key }) => key !== 'again'), answers })).toContain('recorded')
  })

  it('finds one that was called a duplicate and says something new', () => {
    const news = report('publisher', 'news', main('published', { feed: 'x' }))
    const wrong = { command: news, draft: withoutDocuments(noted('ReportIgnored', news, 'duplicate')) }
    expect(faultsOf(withExtras({ published: [wrong] }))).toEqual(expect.arrayContaining(['order', 'faithful']))
    expect(faultsOf(withExtras({ published: [{ command: news, draft: mergedData(news) }] }))).toEqual([])
  })
})

describe('the proof of deletions', () => {
  const deletes = report('publisher', 'deletes', { status: 'published', data: { draft: null, never: null } })
  const late = report('validator', 'late', main('validated', { draft: 2, never: 2, kept: 2 }))
  const record = withExtras({
    published: [
      { command: deletes, draft: mergedData(deletes) },
      { command: late, draft: noted('ReportIgnored', late, 'overtaken') },
    ],
  })

  it.each(['draft', 'never'])('finds a deleted member that late data brought back: %s', (member) => {
    const shown: JsonObject[] = []
    const look = (view: JsonObject) => {
      shown.push(view)
      return view
    }
    expect(faultsOf({ ...record, view: look })).toEqual([])
    expect(shown[0]?.data).toEqual({ kept: 2, scan: 'clean', shelf: 'cold', progress: 'archived' })
    const back = (view: JsonObject) => ({ ...view, data: { ...Object(view.data), [member]: 2 } })
    expect(faultsOf({ ...record, view: back, listed: back })).toEqual(['readById', 'list'])
  })

  it('counts a deletion of what was absent as a change, once', () => {
    const gone = report('publisher', 'gone', { status: 'published', data: { absent: null } })
    const again = report('publisher', 'again', { status: 'published', data: { absent: null } })
    const change = { command: gone, draft: mergedData(gone) }
    const repeat = { command: again, draft: withoutDocuments(noted('ReportIgnored', again, 'duplicate')) }
    expect(faultsOf(withExtras({ published: [change, repeat] }))).toEqual([])
    expect(faultsOf(withExtras({ published: [change, { ...repeat, draft: mergedData(again) }] }))).toContain('order')
  })
})

describe('the proof of descriptions', () => {
  const opens = report('gateway', 'opens', { pipeline: 'p', status: 'received', data: { event: 'push' } })
  const first = open('describes', { data: { event: 'pull', more: true } })
  const second = { ...open('again'), mayBeRefused: true }
  const { commands, drafts } = withExtras({})
  const rest = drafts.slice(1)
  const begun = [openedAs('opens', null), mergedData(opens)]
  const sent = [opens, first, ...commands.slice(1)]

  it('finds one that fills what is there, and one that was taken twice', () => {
    const record = { commands: sent, drafts: [...begun, described(first), ...rest] }
    const shown: JsonObject[] = []
    const look = (view: JsonObject) => {
      shown.push(view)
      return view
    }
    expect(faultsOf({ ...record, view: look })).toEqual([])
    expect(shown[0]).toMatchObject({ theme: 'push', data: { event: 'push', more: true } })
    expect(faultsOf({ ...record, view: (view) => ({ ...view, theme: null }) })).toEqual(['readById'])
    const twice = [...begun, described(first), described(second), ...rest]
    expect(faultsOf({ commands: [...sent, second], drafts: twice })).toContain('order')
    expect(faultsOf({ commands: [...sent, second], drafts: [...drafts, described(second)] })).toContain('order')
  })

  it('finds an open that was refused although nothing had described the operation', () => {
    const refused = { ...answer(1), httpStatus: 409, outcome: null, code: 'operation_exists' }
    const answers = { again: [refused] }
    expect(faultsOf({ commands: [opens, second, ...way], drafts: [...begun, ...rest], answers })).toEqual(['recorded'])
    expect(faultsOf({ commands: [...sent, second], drafts: [...begun, described(first), ...rest], answers })).toEqual(
      [],
    )
  })

  it('finds a report that opened the operation and was not counted as a report', () => {
    const uncounted = [openedAs('opens', null), described(first), ...rest]
    expect(faultsOf({ commands: sent, drafts: uncounted })).toContain('recorded')
  })
})

describe('the proof of the end', () => {
  const second = report('archivist', 'second', main('archived', { shelf: 'warm', signed: true }))

  it('finds data that was overwritten after it', () => {
    const filled = { command: second, draft: noted('ReportIgnored', second, 'operation_ended') }
    expect(faultsOf(withExtras({ archived: [filled] }))).toEqual([])
    expect(faultsOf(withExtras({ archived: [{ command: second, draft: mergedData(second) }] }))).toContain('order')
    const unsigned = (view: JsonObject) => {
      const { signed: _, ...data } = Object(view.data)
      return { ...view, data }
    }
    expect(faultsOf({ ...withExtras({ archived: [filled] }), view: unsigned })).toEqual(['readById'])
  })

  it('finds a report dropped as unreachable that fills, and one that was dropped for another reason', () => {
    const early = report('notifier', 'early', { status: 'published', data: { early: true } })
    const rejected = report('validator', 'rejected', main('rejected'))
    const commands = [open('open'), early, rejected]
    const begun = [openedAs('open'), noted('ReportHeld', early, 'requirement_unmet'), applied(rejected, 'received')]
    const record = {
      commands,
      fate: 'rejected',
      drafts: [...begun, noted('ReportIgnored', early, 'unreachable', 'rejected')],
    } as const
    expect(faultsOf(record)).toEqual([])
    expect(faultsOf({ ...record, view: (view) => ({ ...view, data: { ...Object(view.data), early: true } }) })).toEqual(
      ['readById'],
    )
    const drafts = [...begun, noted('ReportIgnored', early, 'operation_ended', 'rejected')]
    expect(faultsOf({ ...record, drafts })).toContain('order')
  })
})

it('finds a receipt that says something else than the log', () => {
  const record = withExtras({})
  expect(faultsOf({ ...record, answers: { clean: [answer(4, 'held', 'requirement_unmet')] } })).toEqual(['receipts'])
})
