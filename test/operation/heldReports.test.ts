import { describe, expect, test } from 'vitest'
import { given, Ledger, linear, pipeline, refusal, told, when } from './support/ledger.ts'

const chain = ['new', 'a', 'b', 'c', 'done']

function heldNames(ledger: Ledger): string[] {
  return ledger.current.held.map((held) => `${held.facts.track}:${held.status}`)
}

describe('a held report', () => {
  test('is released by its predecessor in the same append, under its own key', () => {
    const ledger = given(linear('hold', chain), 'b')
    expect(when(ledger, 'a')).toBe('applied | main new>a by k3 | main a>b by k2+')
    expect(ledger.current.held).toEqual([])
    const release = ledger.events.at(-1)
    expect(JSON.parse(release?.metadata ?? '')).toMatchObject({ command: 'k2', $causationId: 'k3' })
  })

  test('keeps what it came with: actor, trace and request hash', () => {
    const ledger = given(linear('hold', chain))
    const [traceparent, data] = ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', { pages: 3 }]
    const late = { status: 'b', service: 'ocr', sequence: 4, observedAt: '2026-01-01T00:00:00.000Z', data }
    when(ledger, late, { actor: 'early bird', traceparent })
    when(ledger, 'a')
    const [held, , release] = ledger.events.slice(1)
    expect(JSON.parse(release?.data ?? '')).toEqual({ track: 'main', from: 'a', to: 'b', ...late, status: undefined })
    const metadata = JSON.parse(release?.metadata ?? '')
    expect(metadata).toMatchObject({ actor: 'early bird', traceparent })
    expect(metadata.requestHash).toBe(JSON.parse(held?.metadata ?? '').requestHash)
  })

  test('that is said again under a sequence that was ignored meanwhile has a duplicate by sequence, which fills', () => {
    const ledger = given(linear('hold', chain), 'a', { status: 'c', service: 'ocr', sequence: 5 })
    expect(when(ledger, { status: 'new', service: 'ocr', sequence: 5 })).toContain('overtaken')
    const again = { status: 'c', service: 'ocr', sequence: 5, data: { late: true } }
    expect(when(ledger, again)).toContain('duplicate')
    expect(ledger.current.data.value).toEqual({ late: true })
    // One that no mark tells from the held report fills nothing.
    const plain = given(linear('hold', chain), { status: 'b', service: 'ocr', sequence: 5 })
    when(plain, { status: 'b', service: 'ocr', sequence: 5, data: { late: true } })
    expect(plain.current.data.value).toEqual({})
  })

  test('releases others in turn, however they came', () => {
    const ledger = given(linear('hold', chain), 'done', 'c', 'b')
    expect(when(ledger, 'a')).toBe(
      'applied | main new>a by k5 | main a>b by k4+ | main b>c by k3+ | main c>done by k2+',
    )
    expect(ledger.current.state).toBe('succeeded')
  })

  test('of several for one status the earliest is released, and the next is merged or dropped as duplicate', () => {
    const ledger = given(
      linear('hold', chain),
      { status: 'b', service: 's1', data: { first: true } },
      { status: 'b', service: 's2', data: { second: true } },
      { status: 'b', service: 's3', data: { first: true } },
    )
    expect(when(ledger, 'a')).toBe(
      'applied | main new>a by k5 | main a>b by k2+ | main =b by k3+ | duplicate main:b by k4+',
    )
    expect(ledger.current.data.value).toEqual({ first: true, second: true })
  })

  test('after each that moves they are looked at again from the earliest', () => {
    // c and b come in this order: b moves first, then c though it was looked at before.
    const ledger = given(linear('hold', chain), 'c', 'b')
    expect(when(ledger, 'a')).toBe('applied | main new>a by k4 | main a>b by k3+ | main b>c by k2+')
  })

  test('is dropped as unreachable when its track took another branch', () => {
    const definition = pipeline({
      outOfOrder: 'hold',
      tracks: {
        main: {
          initial: 'new',
          transitions: { new: ['a', 'x'], a: ['b'], b: ['done'], x: ['done'] },
          final: { done: 'succeeded' },
        },
      },
    })
    const ledger = given(definition, { status: 'b', sequence: 7, data: { gone: 1 } })
    expect(when(ledger, { status: 'x', service: 'other' })).toBe(
      'applied | main new>x by k3 | unreachable main:b by k2+',
    )
    // It fills nothing and moves no mark: what was sent for nothing is as if never sent.
    expect(ledger.current.data.value).toEqual({})
    expect(ledger.current.tracks.main?.marks).toEqual({})
  })

  test('is dropped as overtaken when a shorter way led past it', () => {
    const definition = pipeline({
      outOfOrder: 'hold',
      tracks: {
        main: {
          initial: 'new',
          transitions: { new: ['a'], a: ['b', 'done'], b: ['c'], c: ['done'] },
          final: { done: 'succeeded' },
        },
      },
    })
    const two = given(definition, 'c', { status: 'c', service: 'other' }, 'done')
    expect(when(two, 'a')).toMatch(/ \| overtaken main:c by k2\+ \| overtaken main:c by k3\+$/)
    const ledger = given(definition, 'c', 'done')
    // `done` was several ahead when it came; it is one ahead of `a`, and comes before `b` does.
    expect(when(ledger, 'a')).toBe('applied | main new>a by k4 | main a>done by k3+ | overtaken main:c by k2+')
    expect(ledger.current.held).toEqual([])
  })

  test('is looked at again by its mark: a newer one of its service overtook it', () => {
    const ledger = given(linear('hold', chain), { status: 'b', sequence: 1, data: { x: 1 } })
    expect(when(ledger, { status: 'a', sequence: 2 })).toBe('applied | main new>a by k3 | older_sequence main:b by k2+')
    expect(ledger.current.tracks.main?.marks).toEqual({ svc: 2 })
    expect(ledger.current.data.value).toEqual({ x: 1 })
    expect(ledger.current.held).toEqual([])
  })

  test('of one service and track is released in the order of sequences, whatever the order of arrival', () => {
    const loop = pipeline({
      outOfOrder: 'hold',
      tracks: {
        main: {
          initial: 'draft',
          transitions: { draft: ['review'], review: ['fix', 'done'], fix: ['review'] },
          final: { done: 'succeeded' },
        },
      },
    })
    const ledger = given(loop, { status: 'done', sequence: 4 }, { status: 'fix', sequence: 2 })
    expect(when(ledger, { status: 'review', sequence: 1 })).toBe(
      'applied | main draft>review by k4 | main review>fix by k3+',
    )
    expect(when(ledger, { status: 'review', sequence: 3 })).toBe(
      'applied | main fix>review by k5 | main review>done by k2+',
    )
  })

  test('is looked at again when data is merged: that moves a mark too', () => {
    const ledger = given(linear('hold', chain), 'a', { status: 'c', sequence: 3 })
    expect(when(ledger, { status: 'a', sequence: 5, data: { x: 1 } })).toBe(
      'applied | main =a by k4 | older_sequence main:c by k3+',
    )
  })

  test('that comes again, of the same service, status and sequence, is a duplicate: it moves no mark and fills nothing', () => {
    const ledger = given(linear('hold', chain), { status: 'b', sequence: 4, data: { x: 1 } })
    expect(when(ledger, { status: 'b', sequence: 4, data: { y: 1 } })).toBe(
      'ignored duplicate | duplicate main:b by k3',
    )
    expect(ledger.current.data.value).toEqual({})
    expect(ledger.current.tracks.main?.marks).toEqual({})
    expect(heldNames(ledger)).toEqual(['main:b'])
    expect(when(ledger, { status: 'b', sequence: 4, service: 'other' })).toMatch(/^held/)
    expect(when(ledger, { status: 'b', sequence: 5 })).toMatch(/^held/)
  })

  test('stays held while data is merged and others are ignored', () => {
    const ledger = given(linear('hold', chain), 'a', 'c')
    when(ledger, { status: 'a', data: { x: 1 } })
    when(ledger, 'new')
    expect(heldNames(ledger)).toEqual(['main:c'])
  })

  test('that opened its operation counts on under its key', () => {
    const ledger = new Ledger(linear('hold', chain))
    expect(told(ledger.report({ status: 'b', pipeline: 'invoice' }))).toBe(
      'held predecessor_missing | opened by k1 | held main:b by k1+',
    )
    expect(when(ledger, 'a')).toBe('applied | main new>a by k2 | main a>b by k1++')
  })
})

describe('held reports are bounded', () => {
  test('in number', () => {
    const ledger = given(linear('hold', chain))
    for (let sequence = 0; sequence < 100; sequence += 1) {
      expect(when(ledger, { status: 'b', sequence })).toMatch(/^held/)
    }
    expect(when(ledger, 'b')).toBe('refused held_full')
    // One that need not wait is still taken, and makes room.
    expect(when(ledger, 'a')).toMatch(/^applied/)
    expect(when(ledger, 'done')).toMatch(/^held/)
  })

  test('in bytes, together', () => {
    const ledger = given(linear('hold', chain))
    const data = { text: 'x'.repeat(65_000) }
    expect(when(ledger, { status: 'b', data })).toMatch(/^held/)
    expect(when(ledger, { status: 'c', data })).toMatch(/^held/)
    expect(when(ledger, { status: 'done', data: { text: 'x'.repeat(1_500) } })).toBe('refused held_full')
    expect(when(ledger, { status: 'done', data: { text: 'x' } })).toMatch(/^held/)
  })

  test('counting bytes, not characters', () => {
    const ledger = given(linear('hold', chain))
    expect(when(ledger, { status: 'b', data: { text: '€'.repeat(50_000) } })).toBe('refused held_full')
    expect(when(ledger, { status: 'b', data: { text: '€'.repeat(43_000) } })).toMatch(/^held/)
  })

  test('and what is refused for it leaves no trace', () => {
    const ledger = new Ledger(linear('hold', chain), { heldCountMax: 0 })
    expect(refusal(ledger.report({ status: 'b', pipeline: 'invoice' })).code).toBe('held_full')
    expect(ledger.state).toBeNull()
    expect(ledger.events).toEqual([])
  })
})

describe('joins', () => {
  const definition = (outOfOrder: 'reject' | 'advance' | 'hold') =>
    pipeline({
      outOfOrder,
      tracks: {
        main: {
          initial: 'new',
          transitions: { new: ['read'], read: ['paid'], paid: ['sent'] },
          final: { sent: 'succeeded' },
          requires: {
            paid: [
              { track: 'fraud', in: ['passed'] },
              { track: 'stock', in: ['there', 'ordered'] },
            ],
          },
        },
        fraud: { initial: 'open', transitions: { open: ['passed'] }, final: { passed: 'succeeded' } },
        stock: {
          initial: 'open',
          transitions: { open: ['ordered', 'there'], ordered: ['there'] },
          final: { there: 'succeeded' },
        },
      },
    })

  test('want all their conditions, each met by any of its statuses', () => {
    const ledger = given(definition('reject'), 'read', 'fraud:passed')
    expect(when(ledger, 'paid')).toBe('refused requirement_unmet')
    expect(refusal(ledger.report({ status: 'paid' })).allowedStatuses).toEqual([])
    when(ledger, 'stock:ordered')
    expect(when(ledger, 'paid')).toMatch(/^applied/)
  })

  test('ask what was reached, not where a track stands', () => {
    const ledger = given(definition('reject'), 'read', 'fraud:passed', 'stock:ordered', 'stock:there')
    expect(when(ledger, 'paid')).toMatch(/^applied/)
  })

  test('release what waits for them when the last is met', () => {
    const ledger = given(definition('hold'), 'paid', 'read', 'stock:there')
    expect(heldNames(ledger)).toEqual(['main:paid'])
    expect(when(ledger, 'fraud:passed')).toBe('applied | fraud open>passed by k5 | main read>paid by k2+')
  })

  test('hold a jump over them until they are met, and then let it jump', () => {
    const ledger = given(definition('advance'))
    expect(when(ledger, 'sent')).toBe('held requirement_unmet | held main:sent by k2')
    expect(when(ledger, 'stock:there')).toMatch(/^applied \| stock open>there by k3$/)
    expect(when(ledger, 'fraud:passed')).toBe('applied | fraud open>passed by k4 | main new>sent by k2+')
    expect(ledger.current.tracks.main?.reached).toEqual(['new', 'read', 'paid', 'sent'])
    expect(ledger.current.state).toBe('succeeded')
  })

  test('do not hold a jump that has a way round them', () => {
    const two = pipeline({
      outOfOrder: 'advance',
      tracks: {
        main: {
          initial: 'new',
          transitions: { new: ['checked', 'waved'], checked: ['out'], waved: ['out'], out: ['end'] },
          final: { end: 'succeeded' },
          requires: { checked: [{ track: 'fraud', in: ['passed'] }] },
        },
        fraud: { initial: 'open', transitions: { open: ['passed'] }, final: { passed: 'succeeded' } },
      },
    })
    const ledger = given(two)
    expect(when(ledger, 'end')).toMatch(/^applied/)
    expect(ledger.current.tracks.main?.reached).toEqual(['new', 'out', 'end'])
  })

  test('that are met only later let a release go on to what it released', () => {
    // paid waits for fraud; sent waits for paid; fraud was held before its track started.
    const later = pipeline({
      outOfOrder: 'hold',
      tracks: {
        main: {
          initial: 'new',
          transitions: { new: ['read'], read: ['paid'], paid: ['sent'] },
          final: { sent: 'succeeded' },
          requires: { paid: [{ track: 'fraud', in: ['passed'] }] },
        },
        fraud: {
          initial: 'open',
          transitions: { open: ['passed'] },
          final: { passed: 'succeeded' },
          startsWhen: { track: 'main', in: ['read'] },
        },
      },
    })
    const ledger = given(later, 'sent', 'paid', 'fraud:passed')
    expect(when(ledger, 'read')).toBe(
      'applied | main new>read by k5 | fraud open>passed by k4+ | main read>paid by k3+ | main paid>sent by k2+',
    )
    expect(ledger.current.state).toBe('succeeded')
  })

  test('on a status of the own track ask for a way through it', () => {
    const own = pipeline({
      outOfOrder: 'hold',
      tracks: {
        main: {
          initial: 'draft',
          transitions: { draft: ['review'], review: ['fix', 'done'], fix: ['review'] },
          final: { done: 'succeeded' },
          requires: { done: [{ track: 'main', in: ['fix'] }] },
        },
      },
    })
    const ledger = given(own, 'review')
    expect(when(ledger, 'done')).toBe('held requirement_unmet | held main:done by k3')
    expect(when(ledger, 'fix')).toBe('applied | main review>fix by k4')
    expect(when(ledger, 'review')).toBe('applied | main fix>review by k5 | main review>done by k3+')
  })

  test('that can never be met any more let go of what waited for them', () => {
    const stuck = pipeline({
      outOfOrder: 'hold',
      tracks: {
        main: {
          initial: 'new',
          transitions: { new: ['easy', 'hard'], easy: ['done'], hard: ['done'] },
          final: { done: 'succeeded' },
          requires: { done: [{ track: 'extra', in: ['ready'] }] },
        },
        extra: {
          initial: 'open',
          transitions: { open: ['ready'] },
          final: { ready: 'succeeded' },
          startsWhen: { track: 'main', in: ['hard'] },
        },
      },
    })
    const ledger = given(stuck, 'done')
    expect(when(ledger, 'easy')).toBe('applied | main new>easy by k3 | unreachable main:done by k2+')
    expect(ledger.statuses()).toEqual({ main: 'easy', extra: 'skipped' })
    expect(when(ledger, 'done')).toBe('refused unreachable')
  })
})
