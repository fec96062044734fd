import { describe, expect, test } from 'vitest'
import { anyPipeline } from '../../src/operation/pipeline.ts'
import { given, Ledger, linear, refusal, told, when } from './support/ledger.ts'
import { plainState } from './support/plainState.ts'

const definition = linear('advance')

describe('opening', () => {
  test('records what was given, and the initial status of each track', () => {
    const ledger = new Ledger(definition)
    const decision = ledger.open({ theme: 'dark', data: { x: null }, metadata: { customer: 'c' } })
    expect(told(decision)).toBe('opened | opened by k1')
    expect(decision).toMatchObject({ opened: true })
    expect(plainState(ledger.current)).toMatchObject({
      pipeline: { name: 'invoice', version: 1 },
      theme: 'dark',
      data: { x: null },
      metadata: { customer: 'c' },
      state: 'active',
      revision: 0n,
      openedBy: 'k1',
    })
    expect(ledger.current.tracks.main).toMatchObject({ status: 'new', by: null, since: ledger.current.openedAt })
  })

  test('an id that exists is refused, with the same body too', () => {
    const ledger = given(definition)
    expect(told(ledger.open())).toBe('refused operation_exists')
    expect(refusal(ledger.open()).revision).toBe(0n)
  })

  test('in a pipeline that is not there is refused', () => {
    expect(told(new Ledger(definition).open({ pipeline: 'other' }))).toBe('refused not_found')
  })
})

describe('a report to an operation that is not there', () => {
  test('is refused without a pipeline', () => {
    expect(told(new Ledger(definition).report({ status: 'a' }))).toBe('refused not_found')
  })

  test('opens it in the same append with one', () => {
    const ledger = new Ledger(definition)
    const decision = ledger.report({ status: 'a', pipeline: 'invoice', data: { x: 1 } })
    expect(told(decision)).toBe('applied | opened by k1 | main new>a by k1+')
    expect(decision).toMatchObject({ opened: true })
    expect(JSON.parse(ledger.events[0]?.data ?? '')).toEqual({
      pipeline: { name: 'invoice', version: 1 },
      theme: null,
      data: {},
      metadata: {},
    })
  })

  test('of its initial status opens it and is on record: its service and its mark count', () => {
    const ledger = new Ledger(definition)
    const observedAt = '2026-01-01T00:00:00.000Z'
    const decision = ledger.report({ status: 'new', pipeline: 'invoice', sequence: 5, observedAt })
    expect(told(decision)).toBe('applied | opened by k1 | main =new by k1+')
    expect(decision).toMatchObject({ opened: true })
    expect(ledger.current.tracks.main).toMatchObject({ status: 'new', by: 'svc', observedAt, marks: { svc: 5 } })
    expect(when(ledger, { status: 'a', sequence: 3 })).toMatch(/^ignored older_sequence/)
    expect(told(new Ledger(definition).report({ status: 'new', pipeline: 'invoice', data: { x: 1 } }))).toBe(
      'applied | opened by k1 | main =new by k1+',
    )
  })

  test('that is refused does not open it', () => {
    for (const report of [{ status: 'nowhere' }, { status: 'b', policy: 'reject' as const }]) {
      const ledger = new Ledger(linear(report.policy ?? 'advance'))
      const decision = ledger.report({ status: report.status, pipeline: 'invoice' })
      expect(told(decision)).toMatch(/^refused/)
      expect(refusal(decision)).toMatchObject({ currentStatus: 'new' })
      expect(refusal(decision)).not.toHaveProperty('revision')
      expect(ledger.state).toBeNull()
      expect(ledger.events).toEqual([])
    }
  })

  test('in a pipeline that is not there is refused', () => {
    expect(told(new Ledger(definition).report({ status: 'a', pipeline: 'other' }))).toBe('refused not_found')
  })
})

describe('a report to an operation that is there', () => {
  test('may name its pipeline and its version, and is refused when it names another version', () => {
    const ledger = given(definition)
    const refused = ledger.report({ status: 'a', pipeline: 'invoice', pipelineVersion: 7 })
    expect(refusal(refused)).toMatchObject({ code: 'pipeline_mismatch', detail: expect.stringContaining('version 1') })
    expect(when(ledger, { status: 'a', pipelineVersion: 7 })).toBe('refused pipeline_mismatch')
    expect(when(ledger, { status: 'a', pipeline: 'invoice', pipelineVersion: 1 })).toMatch(/^applied/)
  })

  test('is refused when it names another', () => {
    expect(when(given(definition), { status: 'a', pipeline: 'other' })).toBe('refused pipeline_mismatch')
  })
})

describe('an expected revision', () => {
  test('must be the current one', () => {
    const ledger = given(definition, 'a')
    expect(told(ledger.report({ status: 'b' }, { expectedRevision: 0n }))).toBe('refused revision_mismatch')
    expect(refusal(ledger.report({ status: 'b' }, { expectedRevision: 2n })).revision).toBe(1n)
    expect(told(ledger.report({ status: 'b' }, { expectedRevision: 1n }))).toMatch(/^applied/)
  })

  test('is asked after existence and before the rules', () => {
    const ledger = given(definition)
    expect(told(ledger.report({ status: 'nowhere' }, { expectedRevision: 9n }))).toBe('refused revision_mismatch')
    expect(told(ledger.report({ status: 'a', pipeline: 'x' }, { expectedRevision: 9n }))).toBe(
      'refused revision_mismatch',
    )
    const opening = { type: 'OpenOperation', pipeline: 'invoice' } as const
    expect(told(ledger.submit(opening, { expectedRevision: 9n }))).toBe('refused operation_exists')
    const none = new Ledger(definition)
    expect(told(none.report({ status: 'a' }, { expectedRevision: 0n }))).toBe('refused not_found')
    expect(told(none.report({ status: 'a', pipeline: 'invoice' }, { expectedRevision: 0n }))).toBe(
      'refused revision_mismatch',
    )
    expect(told(none.submit(opening, { expectedRevision: 0n }))).toBe('refused revision_mismatch')
  })

  test('holds while all events since were ignored and filled nothing', () => {
    const ledger = given(definition, 'a', 'a', 'new')
    expect(ledger.current).toMatchObject({ revision: 3n, changedRevision: 1n })
    expect(told(ledger.report({ status: 'a' }, { expectedRevision: 0n }))).toBe('refused revision_mismatch')
    expect(told(ledger.report({ status: 'b' }, { expectedRevision: 1n }))).toMatch(/^applied/)
    when(ledger, { status: 'a', data: { late: 1 } })
    expect(told(ledger.report({ status: 'done' }, { expectedRevision: 4n }))).toBe('refused revision_mismatch')
    expect(told(ledger.report({ status: 'done' }, { expectedRevision: 5n }))).toMatch(/^applied/)
  })

  test('is asked of ignored reports as well', () => {
    const ledger = given(definition, 'a')
    expect(told(ledger.report({ status: 'a' }, { expectedRevision: 0n }))).toBe('refused revision_mismatch')
  })
})

test('recordedAt never goes back within a stream, whatever the clock says', () => {
  const ledger = given(definition)
  ledger.state = { ...ledger.current, updatedAt: '2026-06-01T00:00:00.000Z' }
  const command = { operation: 'op-1', key: 'k', requestHash: 'h', actor: 'tester' }
  const decision = ledger.decide({ ...command, body: { type: 'ReportStatus', service: 's', status: 'a' } })
  expect(decision).toMatchObject({ state: { updatedAt: '2026-06-01T00:00:00.000Z' } })
})

describe('in pipeline any', () => {
  const started = (...reports: Parameters<typeof when>[1][]) => given(anyPipeline, ...reports)

  test('a track has no status at first, and any report applies', () => {
    const ledger = started()
    expect(ledger.current.tracks.main).toMatchObject({ phase: 'active', status: null, since: null, by: null })
    expect(when(ledger, 'whatever')).toBe('applied | main null>whatever by k2')
    expect(when(ledger, 'whatever')).toBe('applied | main whatever>whatever by k3')
    expect(when(ledger, '__proto__')).toBe('applied | main whatever>__proto__ by k4')
  })

  test('a report opens an operation at once', () => {
    expect(told(new Ledger(anyPipeline).report({ status: 'x', pipeline: 'any' }))).toBe(
      'applied | opened by k1 | main null>x by k1+',
    )
  })

  test('a report may end the operation, and later ones change it no more', () => {
    const ledger = started({ status: 'x', final: 'failed', data: { x: 1 } })
    const ended = { state: 'failed', tracks: { main: { phase: 'final', status: 'x' } } }
    expect(ledger.current).toMatchObject(ended)
    const late = { status: 'y', data: { x: 2, y: 2 } }
    expect(when(ledger, late)).toBe('ignored operation_ended | operation_ended main:y by k3')
    expect(when(ledger, { status: 'z', final: 'succeeded' })).toMatch(/^ignored operation_ended/)
    expect(ledger.current).toMatchObject(ended)
    expect(ledger.current.data.value).toEqual({ x: 1, y: 2 })
  })

  test('sequences are kept as anywhere', () => {
    const ledger = started({ status: 'x', sequence: 2 })
    expect(when(ledger, { status: 'y', sequence: 1, data: { late: true } })).toMatch(/^ignored older_sequence \|/)
    expect(when(ledger, { status: 'y', sequence: 2 })).toMatch(/^ignored duplicate/)
    expect(ledger.current.data.value).toEqual({ late: true })
  })

  test('there is one track', () => {
    expect(when(started(), 'other:x')).toBe('refused unknown_status')
  })

  test('statuses are not remembered: nothing asks, and there may be any number', () => {
    const ledger = started('x', 'y', 'z')
    expect(ledger.current.tracks.main?.reached).toEqual([])
  })
})

test('`final` is said in pipeline any only', () => {
  expect(when(given(definition), { status: 'a', final: 'succeeded' })).toBe('refused invalid')
})
