import { describe, expect, test } from 'vitest'
import { given, Ledger, linear, refusal, told, when } from './support/ledger.ts'

const definition = linear('advance')

function openedByReport(more: Parameters<Ledger['report']>[0] = { status: 'a' }): Ledger {
  const ledger = new Ledger(definition)
  ledger.report({ pipeline: 'invoice', ...more })
  return ledger
}

describe('an open that comes after the report that opened the operation', () => {
  test('is taken once: it fills in theme and documents, and overwrites nothing', () => {
    const ledger = openedByReport({ status: 'a', data: { pages: 3 } })
    const decision = ledger.open({ theme: 'claims', data: { pages: 1, customer: 'x' }, metadata: { tenant: 't' } })
    expect(told(decision)).toBe('opened | described by k2')
    expect(decision).toMatchObject({ opened: false })
    expect(ledger.current).toMatchObject({ theme: 'claims', revision: 2n })
    expect(ledger.current.data.value).toEqual({ pages: 3, customer: 'x' })
    expect(ledger.current.metadata.value).toEqual({ tenant: 't' })
    expect(told(ledger.open({ theme: 'other' }))).toBe('refused operation_exists')
  })

  test('is taken whatever the pipeline says of late data, and brings back nothing that was deleted', () => {
    const ledger = new Ledger(linear('advance', undefined, { lateData: 'record' }))
    ledger.report({ pipeline: 'invoice', status: 'a', data: { gone: null } })
    ledger.open({ data: { gone: 1, there: 1 } })
    expect(ledger.current.data.value).toEqual({ there: 1 })
  })

  test('may say nothing, and is taken all the same', () => {
    const ledger = openedByReport()
    expect(told(ledger.open())).toBe('opened | described by k2')
    expect(told(ledger.open())).toBe('refused operation_exists')
  })

  test('is refused when it names another pipeline or version, and may then come right', () => {
    const ledger = openedByReport()
    expect(refusal(ledger.submit({ type: 'OpenOperation', pipeline: 'other' })).code).toBe('pipeline_mismatch')
    expect(refusal(ledger.open({ pipelineVersion: 2 })).code).toBe('pipeline_mismatch')
    expect(told(ledger.open({ pipelineVersion: 1 }))).toMatch(/^opened/)
  })

  test('that would break a limit is refused, and says which', () => {
    const ledger = new Ledger(definition, { dataBytesMax: 100, metadataBytesMax: 50 })
    ledger.report({ pipeline: 'invoice', status: 'a' })
    expect(refusal(ledger.open({ data: { t: 'x'.repeat(200) } })).detail).toMatch(/data would grow beyond 100 bytes/)
    expect(refusal(ledger.open({ metadata: { t: 'x'.repeat(90) } })).detail).toMatch(
      /metadata would grow beyond 50 bytes/,
    )
    expect(told(ledger.open({ data: { t: 'x' } }))).toMatch(/^opened/)
  })

  test('holds against the revision it names', () => {
    const ledger = openedByReport()
    const opening = { type: 'OpenOperation', pipeline: 'invoice' } as const
    expect(told(ledger.submit(opening, { expectedRevision: 0n }))).toBe('refused revision_mismatch')
    expect(told(ledger.submit(opening, { expectedRevision: 1n }))).toMatch(/^opened/)
  })
})

test('an operation that was opened by an open is described already', () => {
  expect(told(given(definition).open())).toBe('refused operation_exists')
  const reported = given(definition)
  when(reported, 'a')
  expect(told(reported.open())).toBe('refused operation_exists')
})

test('a report of the initial status that opened it leaves it to be described', () => {
  expect(told(openedByReport({ status: 'new' }).open({ theme: 'claims' }))).toBe('opened | described by k2')
})
