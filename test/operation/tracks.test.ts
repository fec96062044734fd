import { describe, expect, test } from 'vitest'
import { given, Ledger, linear, pipeline, when } from './support/ledger.ts'
import { plainState } from './support/plainState.ts'

type Policy = 'reject' | 'advance' | 'hold'

const simple = { initial: 'open', transitions: { open: ['closed'] }, final: { closed: 'succeeded' } }

/** main forks to `ok` or `bad`; each later track waits for another. */
function forked(outOfOrder: Policy = 'advance') {
  return pipeline({
    outOfOrder,
    tracks: {
      main: {
        initial: 'new',
        transitions: { new: ['ok', 'bad'], ok: ['mid'], mid: ['end'] },
        final: { end: 'succeeded', bad: 'failed' },
      },
      second: { ...simple, startsWhen: { track: 'main', in: ['ok'] } },
      third: { ...simple, startsWhen: { track: 'second', in: ['open'] } },
      fourth: { ...simple, startsWhen: { track: 'third', in: ['closed'] } },
      cleanup: { ...simple, startsWhen: { track: 'main', in: ['bad'] } },
    },
  })
}

describe('a track', () => {
  test('that waits has no status; one without a condition starts at its initial one', () => {
    expect(given(forked()).statuses()).toEqual({
      main: 'new',
      second: 'waiting',
      third: 'waiting',
      fourth: 'waiting',
      cleanup: 'waiting',
    })
  })

  test('starts once its condition is reached, and its start may start others', () => {
    const ledger = given(forked(), 'ok')
    expect(ledger.statuses()).toEqual({
      main: 'ok',
      second: 'open',
      third: 'open',
      fourth: 'waiting',
      cleanup: 'skipped',
    })
    expect(ledger.current.tracks.third).toMatchObject({ since: ledger.current.updatedAt, by: null, reached: ['open'] })
  })

  test('is started by a jump that passes its condition on all paths', () => {
    const ledger = given(forked(), 'end')
    expect(ledger.statuses()).toMatchObject({ main: 'end!', second: 'open', third: 'open' })
  })

  test('is skipped once it can no longer start, and with it those that wait for it', () => {
    expect(given(forked(), 'bad').statuses()).toEqual({
      main: 'bad!',
      second: 'skipped',
      third: 'skipped',
      fourth: 'skipped',
      cleanup: 'open',
    })
  })

  test('is skipped, not started, by a jump that passes its condition on one path only', () => {
    const definition = pipeline({
      outOfOrder: 'advance',
      tracks: {
        main: {
          initial: 'new',
          transitions: { new: ['l', 'r'], l: ['end'], r: ['end'] },
          final: { end: 'succeeded' },
        },
        left: { ...simple, startsWhen: { track: 'main', in: ['l'] } },
      },
    })
    const ledger = given(definition, 'end')
    expect(ledger.statuses()).toEqual({ main: 'end!', left: 'skipped' })
    expect(ledger.current.state).toBe('succeeded')
  })

  test('that waits for any of several statuses starts with one of them, and waits while one can be reached', () => {
    const branches = pipeline({
      outOfOrder: 'advance',
      tracks: {
        main: {
          initial: 'new',
          transitions: { new: ['ok', 'bad'], ok: ['mid'], mid: ['end'] },
          final: { end: 'succeeded', bad: 'failed' },
        },
        early: { ...simple, startsWhen: { track: 'main', in: ['ok', 'end'] } },
        late: { ...simple, startsWhen: { track: 'main', in: ['bad', 'end'] } },
      },
    })
    expect(given(branches, 'ok').statuses()).toEqual({ main: 'ok', early: 'open', late: 'waiting' })
    expect(given(branches, 'ok', 'end').statuses()).toMatchObject({ late: 'open' })
  })

  test('fires once: reaching its condition again does not start it anew', () => {
    const definition = pipeline({
      outOfOrder: 'reject',
      tracks: {
        main: {
          initial: 'draft',
          transitions: { draft: ['review'], review: ['draft', 'done'] },
          final: { done: 'succeeded' },
        },
        notes: { ...simple, startsWhen: { track: 'main', in: ['review'] } },
      },
    })
    const ledger = given(definition, 'review', 'notes:closed', 'draft', 'review')
    expect(ledger.statuses()).toEqual({ main: 'review', notes: 'closed!' })
  })

  test('starts with the operation when it waits for an initial status', () => {
    const definition = pipeline({
      outOfOrder: 'reject',
      tracks: { main: simple, side: { ...simple, startsWhen: { track: 'main', in: ['open'] } } },
    })
    expect(given(definition).statuses()).toEqual({ main: 'open', side: 'open' })
  })

  test('may wait for one that is defined after it', () => {
    const definition = pipeline({
      outOfOrder: 'reject',
      tracks: {
        third: { ...simple, startsWhen: { track: 'second', in: ['open'] } },
        second: { ...simple, startsWhen: { track: 'main', in: ['closed'] } },
        main: { ...simple, transitions: { open: ['closed', 'void'] }, final: { closed: 'succeeded', void: 'failed' } },
      },
    })
    expect(given(definition, 'closed').statuses()).toEqual({ third: 'open', second: 'open', main: 'closed!' })
    expect(given(definition, 'void').statuses()).toEqual({ third: 'skipped', second: 'skipped', main: 'void!' })
  })

  test('may end where it starts', () => {
    const definition = pipeline({
      outOfOrder: 'reject',
      tracks: {
        main: simple,
        mark: {
          initial: 'set',
          transitions: {},
          final: { set: 'failed' },
          startsWhen: { track: 'main', in: ['closed'] },
        },
      },
    })
    const ledger = given(definition)
    expect(ledger.current.state).toBe('active')
    when(ledger, 'closed')
    expect(ledger.statuses()).toEqual({ main: 'closed!', mark: 'set!' })
    expect(ledger.current.state).toBe('failed')
  })
})

describe('an operation', () => {
  test('is active until every started track has ended', () => {
    const ledger = given(forked(), 'end', 'second:closed')
    expect(ledger.current.state).toBe('active')
    when(ledger, 'third:closed')
    expect(ledger.statuses()).toMatchObject({ fourth: 'open' })
    expect(ledger.current.state).toBe('active')
    when(ledger, 'fourth:closed')
    expect(ledger.current.state).toBe('succeeded')
  })

  test('is failed when any of its tracks ended so', () => {
    const ledger = given(forked(), 'bad')
    expect(ledger.current.state).toBe('active')
    when(ledger, 'cleanup:closed')
    expect(ledger.current.state).toBe('failed')
  })

  test('that has ended is not overwritten: what comes fills in what is absent', () => {
    const ledger = given(linear('advance'), { status: 'done', data: { x: 1 } })
    expect(when(ledger, { status: 'done', service: 'other', data: { x: 9, z: 1 } })).toBe(
      'ignored operation_ended | operation_ended main:done by k3',
    )
    expect(when(ledger, { status: 'a', data: { x: 2, y: 2 } })).toBe('ignored overtaken | overtaken main:a by k4')
    expect(when(ledger, { status: 'done', data: { x: 1 } })).toMatch(/^ignored duplicate/)
    expect(plainState(ledger.current)).toMatchObject({ state: 'succeeded', data: { x: 1, y: 2, z: 1 } })
    expect(ledger.current.tracks.main?.by).toBe('svc')
  })

  test('that ends lets nothing held behind', () => {
    const ledger = given(forked('hold'), 'end', 'mid', 'second:closed', 'cleanup:closed')
    expect(when(ledger, 'bad')).toBe(
      [
        'applied',
        'main new>bad by k6',
        'unreachable main:end by k2+',
        'unreachable main:mid by k3+',
        'unreachable second:closed by k4+',
        'cleanup open>closed by k5+',
      ].join(' | '),
    )
    expect(ledger.current).toMatchObject({ state: 'failed', held: [] })
  })

  test('of a pipeline with one final status has ended when it opens', () => {
    expect(given(linear('hold', ['done'])).current.state).toBe('succeeded')
  })
})

test('a held release starts a track whose held report releases another on the first', () => {
  const definition = pipeline({
    outOfOrder: 'hold',
    tracks: {
      main: {
        initial: 'new',
        transitions: { new: ['a'], a: ['b'], b: ['c'] },
        final: { c: 'succeeded' },
        requires: { c: [{ track: 'side', in: ['closed'] }] },
      },
      side: { ...simple, startsWhen: { track: 'main', in: ['b'] } },
    },
  })
  const ledger = given(definition, 'c', 'side:closed', 'b')
  expect(when(ledger, 'a')).toBe(
    'applied | main new>a by k5 | main a>b by k4+ | side open>closed by k3+ | main b>c by k2+',
  )
  expect(ledger.current.state).toBe('succeeded')
})

test('two tracks that started together move by themselves', () => {
  const definition = pipeline({ outOfOrder: 'reject', tracks: { left: simple, right: simple } })
  const ledger = new Ledger(definition)
  ledger.open()
  when(ledger, 'left:closed')
  expect(ledger.statuses()).toEqual({ left: 'closed!', right: 'open' })
  expect(when(ledger, 'closed')).toBe('refused unknown_status')
})
