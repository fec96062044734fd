import { describe, expect, test } from 'vitest'
import { given, linear, pipeline, refusal, when } from './support/ledger.ts'

const at = (second: number): string => new Date(Date.UTC(2025, 11, 31, 0, 0, second)).toISOString()

function loop(outOfOrder: 'hold' | 'reject' = 'hold') {
  return pipeline({
    outOfOrder,
    orderBy: 'observedAt',
    tracks: {
      main: {
        initial: 'draft',
        transitions: { draft: ['review'], review: ['rework', 'approved'], rework: ['review'] },
        final: { approved: 'succeeded' },
      },
    },
  })
}

describe('where observed times order reports', () => {
  test('one observed before the latest report of the current status, on the same loop, is overtaken, whoever sent it', () => {
    const ledger = given(loop(), { status: 'review', service: 'reviewer', observedAt: at(4) })
    expect(when(ledger, { status: 'rework', service: 'author', observedAt: at(3) })).toMatch(/^ignored overtaken/)
    expect(when(ledger, { status: 'rework', service: 'author', observedAt: at(5) })).toMatch(/^applied/)
  })

  test('the latest report of the current status may be a repeated one', () => {
    const ledger = given(
      loop(),
      { status: 'review', service: 'reviewer', observedAt: at(4) },
      { status: 'review', service: 'other', observedAt: at(6) },
    )
    expect(ledger.current.tracks.main).toMatchObject({ observedAt: at(4), observedMs: Date.parse(at(6)) })
    expect(when(ledger, { status: 'rework', service: 'author', observedAt: at(5) })).toMatch(/^ignored overtaken/)
  })

  test('it is so under reject too, where out of order is a refusal otherwise', () => {
    const ledger = given(loop('reject'), { status: 'review', service: 'reviewer', observedAt: at(4) })
    expect(when(ledger, { status: 'rework', service: 'author', observedAt: at(3) })).toMatch(/^ignored overtaken/)
    expect(refusal(ledger.report({ status: 'draft', service: 'third', observedAt: at(1) })).code).toBe(
      'transition_not_allowed',
    )
  })

  test('a service has a mark of its times; two reports of one time are no duplicates', () => {
    const ledger = given(loop(), { status: 'review', observedAt: at(4) })
    expect(when(ledger, { status: 'review', observedAt: at(2) })).toMatch(/^ignored older_sequence/)
    expect(when(ledger, { status: 'rework', observedAt: at(4) })).toMatch(/^applied/)
  })

  test('times and sequences are marks apart', () => {
    const ledger = given(loop(), { status: 'review', sequence: 7, observedAt: at(9) })
    expect(ledger.current.tracks.main).toMatchObject({ marks: { svc: 7 }, observedMarks: {} })
    expect(when(ledger, { status: 'approved', observedAt: at(20) })).toMatch(/^applied/)
    expect(ledger.current.tracks.main).toMatchObject({ marks: { svc: 7 }, observedMarks: { svc: Date.parse(at(20)) } })
  })

  test('a clock that is ahead counts as the time of the record', () => {
    const ledger = given(loop(), { status: 'review', observedAt: '2099-01-01T00:00:00.000Z' })
    const { updatedAt, tracks } = ledger.current
    expect(tracks.main?.observedMarks).toEqual({ svc: Date.parse(updatedAt) })
    // The next of its reports is recorded later, so the service is not locked out until 2099.
    expect(when(ledger, { status: 'rework', observedAt: '2099-01-01T00:00:00.000Z' })).toMatch(/^applied/)
  })

  test('held reports of a track are released in the order of their times, whichever service sent them', () => {
    const ledger = given(
      loop(),
      { status: 'approved', service: 'reviewer', observedAt: at(5) },
      { status: 'rework', service: 'author', observedAt: at(3) },
    )
    expect(when(ledger, { status: 'review', service: 'reviewer', observedAt: at(2) })).toBe(
      'applied | main draft>review by k4 | main review>rework by k3+',
    )
    expect(when(ledger, { status: 'review', service: 'reviewer', observedAt: at(4) })).toBe(
      'applied | main rework>review by k5 | main review>approved by k2+',
    )
  })

  test('held reports of one status that were observed at two times are two', () => {
    const ledger = given(loop(), { status: 'rework', observedAt: at(2) })
    expect(when(ledger, { status: 'rework', observedAt: at(5) })).toMatch(/^held/)
    expect(when(ledger, { status: 'rework', observedAt: at(5) })).toMatch(/^ignored duplicate/)
  })

  test('an ignored report with a time is recorded though it has neither key nor sequence', () => {
    const definition = linear('advance', undefined, { orderBy: 'observedAt', recordIgnored: false })
    const ledger = given(definition, 'b')
    ledger.report({ status: 'a', observedAt: at(1) }, { keyGenerated: true })
    expect(ledger.current.revision).toBe(2n)
    ledger.report({ status: 'a' }, { keyGenerated: true })
    expect(ledger.current.revision).toBe(2n)
  })
})

test('by default observed times decide nothing', () => {
  const ledger = given(linear('advance'), { status: 'a', observedAt: at(9) })
  expect(when(ledger, { status: 'b', observedAt: at(1) })).toMatch(/^applied/)
  expect(ledger.current.tracks.main).toMatchObject({ observedMarks: {}, observedMs: null, observedAt: at(1) })
})
