import { describe, expect, test } from 'vitest'
import { given, Ledger, linear, pipeline, refusal, told, when } from './support/ledger.ts'

const policies = ['reject', 'advance', 'hold'] as const
type Policy = (typeof policies)[number]

/** Two branches, a join on `paid`, a track that starts later and one that may never start. */
function order(outOfOrder: Policy) {
  return pipeline({
    outOfOrder,
    tracks: {
      main: {
        initial: 'new',
        transitions: { new: ['read', 'refused'], read: ['paid'], paid: ['sent'] },
        final: { sent: 'succeeded', refused: 'failed' },
        requires: { paid: [{ track: 'fraud', in: ['passed'] }] },
      },
      fraud: {
        initial: 'open',
        transitions: { open: ['passed', 'stopped'] },
        final: { passed: 'succeeded', stopped: 'failed' },
        startsWhen: { track: 'main', in: ['read'] },
      },
    },
  })
}

/** Each row of the table "Deciding a report": where the operation stands, what is reported, and each policy's answer. */
const rows: {
  readonly row: string
  readonly before: readonly string[]
  readonly report: Parameters<typeof when>[1]
  readonly reject: string
  readonly advance: string
  readonly hold: string
}[] = [
  {
    row: 'a status not known',
    before: [],
    report: 'nowhere',
    reject: 'refused unknown_status',
    advance: 'refused unknown_status',
    hold: 'refused unknown_status',
  },
  {
    row: 'a track not known',
    before: [],
    report: 'side:read',
    reject: 'refused unknown_status',
    advance: 'refused unknown_status',
    hold: 'refused unknown_status',
  },
  {
    row: 'a status of another track',
    before: [],
    report: 'main:passed',
    reject: 'refused unknown_status',
    advance: 'refused unknown_status',
    hold: 'refused unknown_status',
  },
  {
    row: 'a track that is skipped',
    before: ['refused'],
    report: 'fraud:passed',
    reject: 'refused unreachable',
    advance: 'refused unreachable',
    hold: 'refused unreachable',
  },
  {
    row: 'a track not started',
    before: [],
    report: 'fraud:passed',
    reject: 'refused requirement_unmet',
    advance: 'held requirement_unmet | held fraud:passed by k2',
    hold: 'held requirement_unmet | held fraud:passed by k2',
  },
  {
    row: 'the current one, with nothing new',
    before: ['read'],
    report: 'read',
    reject: 'ignored duplicate | duplicate main:read by k3',
    advance: 'ignored duplicate | duplicate main:read by k3',
    hold: 'ignored duplicate | duplicate main:read by k3',
  },
  {
    row: 'the current one, with something new',
    before: ['read'],
    report: { status: 'read', data: { pages: 2 } },
    reject: 'applied | main =read by k3',
    advance: 'applied | main =read by k3',
    hold: 'applied | main =read by k3',
  },
  {
    row: 'behind',
    before: ['read'],
    report: 'new',
    reject: 'refused transition_not_allowed',
    advance: 'ignored overtaken | overtaken main:new by k3',
    hold: 'ignored overtaken | overtaken main:new by k3',
  },
  {
    row: 'not reachable',
    before: ['read'],
    report: 'refused',
    reject: 'refused transition_not_allowed',
    advance: 'refused transition_not_allowed',
    hold: 'refused transition_not_allowed',
  },
  {
    row: 'several transitions ahead, with a join on all paths not met',
    before: ['read'],
    report: 'sent',
    reject: 'refused transition_not_allowed',
    advance: 'held requirement_unmet | held main:sent by k3',
    hold: 'held predecessor_missing | held main:sent by k3',
  },
  {
    row: 'several transitions ahead, with the joins met',
    before: ['read', 'fraud:passed'],
    report: 'sent',
    reject: 'refused transition_not_allowed',
    advance: 'applied | main read>sent by k4',
    hold: 'held predecessor_missing | held main:sent by k4',
  },
  {
    row: 'one ahead, its join not met',
    before: ['read'],
    report: 'paid',
    reject: 'refused requirement_unmet',
    advance: 'held requirement_unmet | held main:paid by k3',
    hold: 'held requirement_unmet | held main:paid by k3',
  },
  {
    row: 'one ahead, its join met',
    before: ['read', 'fraud:passed'],
    report: 'paid',
    reject: 'applied | main read>paid by k4',
    advance: 'applied | main read>paid by k4',
    hold: 'applied | main read>paid by k4',
  },
  {
    row: 'one ahead',
    before: [],
    report: 'read',
    reject: 'applied | main new>read by k2',
    advance: 'applied | main new>read by k2',
    hold: 'applied | main new>read by k2',
  },
]

describe.each(policies)('under %s, a report of', (policy) => {
  test.each(rows)('$row', ({ before, report, ...answers }) => {
    expect(when(given(order(policy), ...before), report)).toBe(answers[policy])
  })
})

test('a track remembers the marks of a thousand services, and then asks for reports without one', () => {
  const ledger = new Ledger(linear('advance'), {}, false)
  ledger.open()
  for (let service = 0; service < 1_000; service += 1) {
    ledger.report({ status: 'new', service: `s${service}`, sequence: 1, data: { service } })
  }
  const oneMore = ledger.report({ status: 'a', service: 'one more', sequence: 1 })
  expect(refusal(oneMore)).toMatchObject({ code: 'too_large' })
  expect(told(ledger.report({ status: 'a', service: 's7', sequence: 2 }))).toMatch(/^applied/)
  expect(told(ledger.report({ status: 'b', service: 'one more' }))).toMatch(/^applied/)
  ledger.check()
})

describe.each(policies)('under %s, sequences', (policy) => {
  const definition = linear(policy)

  test('below the mark are ignored and recorded, whatever the status', () => {
    const ledger = given(definition, { status: 'a', sequence: 5 })
    expect(when(ledger, { status: 'b', sequence: 4 })).toBe('ignored older_sequence | older_sequence main:b by k3')
    expect(ledger.statuses()).toEqual({ main: 'a' })
  })

  test('equal to the mark are duplicates, on record with all they carried, and fill what is absent', () => {
    const ledger = given(definition, { status: 'a', sequence: 0, data: { x: 1 } })
    const again = { status: 'b', sequence: 0, data: { x: 2, y: 2 } }
    expect(when(ledger, again)).toBe('ignored duplicate | duplicate main:b by k3')
    expect(ledger.current.data.value).toEqual({ x: 1, y: 2 })
  })

  test('are counted for each service by itself', () => {
    const ledger = given(definition, { status: 'a', sequence: 5, service: 'ocr' })
    expect(when(ledger, { status: 'b', sequence: 1, service: 'mail' })).toMatch(/^applied/)
  })

  test('are compared before the statuses are: a late one never is a refusal', () => {
    const ledger = given(definition, { status: 'a', sequence: 5 })
    expect(when(ledger, { status: 'new', sequence: 4 })).toMatch(/^ignored older_sequence/)
    expect(when(ledger, { status: 'new', sequence: 5 })).toMatch(/^ignored duplicate/)
  })

  test('of merged reports count', () => {
    const ledger = given(definition, 'a', { status: 'a', sequence: 7, data: { x: 1 } })
    expect(when(ledger, { status: 'b', sequence: 6 })).toMatch(/^ignored older_sequence/)
  })

  test('of ignored reports count: an older one does not win after a repeat', () => {
    const ledger = given(definition, { status: 'a', sequence: 1 })
    expect(when(ledger, { status: 'a', sequence: 3 })).toBe('ignored duplicate | duplicate main:a by k3')
    expect(when(ledger, { status: 'b', sequence: 2 })).toMatch(/^ignored older_sequence/)
    expect(when(ledger, { status: 'b', sequence: 4 })).toMatch(/^applied/)
  })

  test('of refused reports do not count', () => {
    const ledger = given(definition, { status: 'a', sequence: 1 })
    expect(when(ledger, { status: 'nowhere', sequence: 9 })).toBe('refused unknown_status')
    expect(when(ledger, { status: 'b', sequence: 2 })).toMatch(/^applied/)
  })

  test('that a report lacks are neither compared nor forgotten', () => {
    const ledger = given(definition, { status: 'a', sequence: 5 }, 'b')
    expect(when(ledger, { status: 'done', sequence: 5 })).toMatch(/^ignored duplicate/)
  })

  test('are kept for services called like members of every object', () => {
    for (const service of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      const ledger = given(definition)
      expect(when(ledger, { status: 'a', sequence: 1, service })).toMatch(/^applied/)
      expect(when(ledger, { status: 'b', sequence: 1, service })).toMatch(/^ignored duplicate/)
      expect(when(ledger, { status: 'b', sequence: 2, service })).toMatch(/^applied/)
    }
  })

  test('reach up to 2^53-1', () => {
    const ledger = given(definition, { status: 'a', sequence: Number.MAX_SAFE_INTEGER })
    expect(when(ledger, { status: 'b', sequence: Number.MAX_SAFE_INTEGER - 1 })).toMatch(/older_sequence/)
  })
})

test('sequences are counted for each track by itself', () => {
  const ledger = given(order('advance'), { status: 'read', sequence: 9 })
  expect(when(ledger, { track: 'fraud', status: 'passed', sequence: 1 })).toMatch(/^applied/)
})

test('a mark is never lowered: a held report counts once it is decided, and only upwards', () => {
  const ledger = given(linear('hold'), { status: 'b', sequence: 12 })
  expect(ledger.current.tracks.main?.marks).toEqual({})
  expect(when(ledger, { status: 'a', sequence: 9 })).toBe('applied | main new>a by k3 | main a>b by k2+')
  expect(ledger.current.tracks.main?.marks).toEqual({ svc: 12 })
  expect(when(ledger, { status: 'done', sequence: 10 })).toMatch(/^ignored older_sequence/)
  expect(ledger.current.tracks.main?.marks).toEqual({ svc: 12 })
})

test('the sequence is checked before a skipped track is', () => {
  const ledger = given(order('advance'), 'read', { track: 'fraud', status: 'stopped', sequence: 3 })
  expect(when(ledger, { track: 'fraud', status: 'passed', sequence: 2 })).toMatch(/^ignored older_sequence/)
  expect(when(ledger, { track: 'fraud', status: 'passed', sequence: 4 })).toBe('refused transition_not_allowed')
})

describe('transitions to the current status, where they are defined,', () => {
  const definition = pipeline({
    outOfOrder: 'hold',
    tracks: {
      main: { initial: 'try', transitions: { try: ['try', 'done'] }, final: { done: 'succeeded' } },
    },
  })

  test('apply though nothing else changes', () => {
    expect(when(given(definition), 'try')).toBe('applied | main try>try by k2')
  })

  test('may still be duplicates by their sequence', () => {
    expect(when(given(definition, { status: 'try', sequence: 1 }), { status: 'try', sequence: 1 })).toBe(
      'ignored duplicate | duplicate main:try by k3',
    )
  })
})

describe('in a cycle', () => {
  const definition = (outOfOrder: Policy) =>
    pipeline({
      outOfOrder,
      tracks: {
        main: {
          initial: 'draft',
          transitions: { draft: ['review'], review: ['fix', 'done'], fix: ['review'] },
          final: { done: 'succeeded' },
        },
      },
    })

  test('a status that is both before and after is ahead, not behind', () => {
    const ledger = given(definition('hold'), 'review', 'fix', 'review')
    expect(when(ledger, 'fix')).toBe('applied | main review>fix by k5')
    expect(when(ledger, 'done')).toBe('held predecessor_missing | held main:done by k6')
    expect(when(ledger, 'review')).toBe('applied | main fix>review by k7 | main review>done by k6+')
  })

  test('a status that cannot be reached again is behind', () => {
    expect(when(given(definition('hold'), 'review'), 'draft')).toMatch(/^ignored overtaken/)
    expect(when(given(definition('reject'), 'review'), 'draft')).toBe('refused transition_not_allowed')
  })
})

describe('a refusal', () => {
  test('says what is allowed now, the current status and the revision', () => {
    const ledger = given(order('reject'), 'read')
    expect(refusal(ledger.report({ status: 'refused' }))).toMatchObject({
      code: 'transition_not_allowed',
      track: 'main',
      currentStatus: 'read',
      allowedStatuses: [],
      revision: 1n,
    })
    ledger.report({ track: 'fraud', status: 'passed' })
    expect(refusal(ledger.report({ status: 'refused' }))).toMatchObject({ allowedStatuses: ['paid'], revision: 2n })
  })

  test('says in words what is not as it would have to be', () => {
    const detailOf = (ledger: Ledger, report: Parameters<Ledger['report']>[0]) => refusal(ledger.report(report)).detail
    const ledger = given(order('reject'), 'read')
    expect(detailOf(ledger, { status: 'new' })).toBe('Track "main" cannot go from "read" to "new".')
    expect(detailOf(ledger, { status: 'nowhere' })).toBe('Track "main" has no status "nowhere".')
    const tracks = [...order('reject').tracks.keys()].map((name) => `"${name}"`).join(', ')
    expect(detailOf(ledger, { track: 'nowhere', status: 'new' })).toBe(
      `There is no track "nowhere"; the pipeline has ${tracks}.`,
    )
    expect(detailOf(given(order('reject')), { track: 'fraud', status: 'passed' })).toBe(
      'Track "fraud" has not started.',
    )
  })

  test('counts jumps as allowed under advance', () => {
    const ledger = given(linear('advance'), 'a')
    expect(refusal(ledger.report({ status: 'nowhere' })).allowedStatuses).toEqual(['b', 'done'])
  })

  test('says what a held report would wait for when nothing more can be held', () => {
    const ledger = new Ledger(linear('hold'), { heldCountMax: 0 })
    ledger.open()
    expect(refusal(ledger.report({ status: 'b' }))).toMatchObject({ code: 'held_full', allowedStatuses: ['a'] })
  })

  test('of a waiting track says it has no status', () => {
    expect(refusal(given(order('reject')).report({ track: 'fraud', status: 'passed' }))).toMatchObject({
      currentStatus: null,
      allowedStatuses: [],
    })
  })
})

test('a report that names no track is on the only one, or on main, or on none', () => {
  const two = (other: string) =>
    pipeline({
      outOfOrder: 'reject',
      tracks: {
        [other]: { initial: 'new', transitions: { new: ['done'] }, final: { done: 'succeeded' } },
        z: { initial: 'new', transitions: { new: ['done'] }, final: { done: 'succeeded' } },
      },
    })
  expect(when(given(two('main')), 'done')).toMatch(/^applied/)
  expect(when(given(two('y')), 'done')).toBe('refused unknown_status')
  const one = pipeline({
    outOfOrder: 'reject',
    tracks: { only: { initial: 'new', transitions: { new: ['done'] }, final: { done: 'succeeded' } } },
  })
  expect(when(given(one), 'done')).toMatch(/^applied/)
})

test('names that every object has are not taken for tracks or statuses', () => {
  const ledger = given(linear('advance'))
  for (const name of ['constructor', '__proto__', 'toString']) {
    expect(when(ledger, { track: name, status: 'a' })).toBe('refused unknown_status')
    expect(when(ledger, { status: name })).toBe('refused unknown_status')
  }
})
