import { describe, expect, test } from 'vitest'
import { given, Ledger, linear, pipeline, told, when } from './support/ledger.ts'
import { plainState } from './support/plainState.ts'

describe('an overtaken report', () => {
  test('fills what is absent, at any depth, and overwrites and deletes nothing', () => {
    const ledger = given(linear('advance'), { status: 'b', data: { ocr: { pages: 3 }, list: [1] } })
    when(ledger, {
      status: 'a',
      data: { ocr: { pages: 9, lang: 'de', gone: null }, list: [2], extra: { deep: { x: 1, y: null } }, none: null },
      metadata: { customer: 'c' },
    })
    expect(ledger.current.data.value).toEqual({ ocr: { pages: 3, lang: 'de' }, list: [1], extra: { deep: { x: 1 } } })
    expect(ledger.current.metadata.value).toEqual({ customer: 'c' })
  })

  test('fills nothing under `record`, but is on record with all it carried', () => {
    const ledger = given(linear('advance', undefined, { lateData: 'record' }), 'b')
    const data = { x: 1 }
    expect(when(ledger, { status: 'a', data, observedAt: '2026-01-01T00:00:00.000Z' })).toMatch(/^ignored overtaken \|/)
    expect(ledger.current.data.value).toEqual({})
    expect(JSON.parse(ledger.events.at(-1)?.data ?? '')).toEqual({
      track: 'main',
      status: 'a',
      service: 'svc',
      observedAt: '2026-01-01T00:00:00.000Z',
      data,
      reason: 'overtaken',
    })
  })

  test('leaves no trace when ignored reports are not recorded and nobody could miss it', () => {
    const ledger = given(linear('advance', undefined, { recordIgnored: false }), { status: 'b', sequence: 2 })
    expect(told(ledger.report({ status: 'a', data: { x: 1 } }, { keyGenerated: true }))).toBe('ignored overtaken')
    expect(plainState(ledger.current)).toMatchObject({ data: {}, revision: 1n })
  })

  test('is recorded all the same where it came with a key or a sequence: its sender may send it again', () => {
    const ledger = given(linear('advance', undefined, { recordIgnored: false }), { status: 'b', sequence: 2 })
    expect(when(ledger, { status: 'a' })).toBe('ignored overtaken | overtaken main:a by k3')
    expect(told(ledger.report({ status: 'a', sequence: 1 }, { keyGenerated: true }))).toBe(
      'ignored older_sequence | older_sequence main:a by k4',
    )
  })
})

test('a held report that is dropped is recorded even where ignored ones are not: the event takes it from the held', () => {
  const definition = pipeline({
    outOfOrder: 'hold',
    recordIgnored: false,
    tracks: {
      main: {
        initial: 'new',
        transitions: { new: ['a', 'x'], a: ['b'], b: ['done'], x: ['done'] },
        final: { done: 'succeeded' },
      },
    },
  })
  expect(when(given(definition, 'b'), 'x')).toBe('applied | main new>x by k3 | unreachable main:b by k2+')
})

describe('a document', () => {
  const text = (bytes: number) => 'x'.repeat(bytes - '{"t":""}'.length)

  test('may be as large as the limit and no larger', () => {
    const limits = { dataBytesMax: 1_000, metadataBytesMax: 100 }
    for (const [data, metadata, expected] of [
      [1_000, 100, 'applied'],
      [1_001, 100, 'refused too_large'],
      [1_000, 101, 'refused too_large'],
    ] as const) {
      const ledger = new Ledger(linear('advance'), limits)
      ledger.open()
      const report = { status: 'a', data: { t: text(data) }, metadata: { t: text(metadata) } }
      expect(when(ledger, report).split(' | ')[0]).toBe(expected)
      expect(ledger.current.revision).toBe(expected === 'applied' ? 1n : 0n)
    }
  })

  test('is measured in bytes', () => {
    const ledger = new Ledger(linear('advance'), { dataBytesMax: 100 })
    ledger.open()
    expect(when(ledger, { status: 'a', data: { t: '€'.repeat(31) } })).toBe('refused too_large')
    expect(when(ledger, { status: 'a', data: { t: '€'.repeat(30) } })).toMatch(/^applied/)
  })

  test('is measured after the merge, not by the sum of its patches', () => {
    const ledger = new Ledger(linear('advance'), { dataBytesMax: 1_000 })
    ledger.open()
    for (let round = 0; round < 20; round += 1) {
      const report = { status: 'new', data: { t: `${round}`.repeat(300) } }
      expect(when(ledger, report)).toMatch(/^applied/)
    }
    expect(when(ledger, { status: 'new', data: { t: null } })).toMatch(/^applied/)
    expect(when(ledger, { status: 'new', data: { u: 'x'.repeat(990) } })).toMatch(/^applied/)
  })

  test('too large to open with is refused', () => {
    const ledger = new Ledger(linear('advance'), { dataBytesMax: 1_000, metadataBytesMax: 100 })
    expect(told(ledger.open({ data: { t: text(1_001) } }))).toBe('refused too_large')
    expect(told(ledger.open({ metadata: { t: text(101) } }))).toBe('refused too_large')
    expect(told(ledger.open({ data: { t: text(1_000) }, metadata: { t: text(100) } }))).toMatch(/^opened/)
  })

  test('that a merge or a fill would make too large is refused', () => {
    const ledger = new Ledger(linear('advance'), { dataBytesMax: 1_000 })
    ledger.open({ data: { t: text(600) } })
    when(ledger, 'b')
    expect(when(ledger, { status: 'b', data: { u: text(600) } })).toBe('refused too_large')
    expect(when(ledger, { status: 'a', data: { u: text(600) } })).toBe('refused too_large')
    // Filling leaves what is there alone, so this one does not grow.
    expect(when(ledger, { status: 'a', data: { t: text(600) } })).toMatch(/^ignored overtaken \|/)
  })

  test('that a release would make too large is left as it is: the status counts, and says what was left out', () => {
    const ledger = new Ledger(linear('hold'), { dataBytesMax: 1_000 })
    ledger.open({ data: { t: text(600) } })
    when(ledger, { status: 'b', data: { u: text(600) } })
    when(ledger, 'done')
    expect(when(ledger, 'a')).toBe('applied | main new>a by k4 | main a>b by k2+ | main b>done by k3+')
    expect(ledger.current.data.value).toEqual({ t: text(600) })
    const release = JSON.parse(ledger.events.at(-2)?.data ?? '')
    expect(release).toEqual({ track: 'main', from: 'a', to: 'b', service: 'svc', omitted: ['data'] })
  })

  test('is left out by itself: the other one of the report is merged', () => {
    const ledger = new Ledger(linear('hold'), { dataBytesMax: 1_000, metadataBytesMax: 100 })
    ledger.open({ data: { t: text(600) }, metadata: { t: text(60) } })
    when(ledger, { status: 'b', data: { u: text(600) }, metadata: { u: 1 } })
    when(ledger, { status: 'done', data: { v: 1 }, metadata: { u: text(60) } })
    when(ledger, 'a')
    expect(ledger.current.data.value).toEqual({ t: text(600), v: 1 })
    expect(ledger.current.metadata.value).toEqual({ t: text(60), u: 1 })
    expect(JSON.parse(ledger.events.at(-1)?.data ?? '')).toMatchObject({ omitted: ['metadata'], data: { v: 1 } })
    expect(JSON.parse(ledger.events.at(-2)?.data ?? '')).toMatchObject({ omitted: ['data'], metadata: { u: 1 } })
  })

  test('that filling from a dropped report would make too large is left as it is, and the reason stays', () => {
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
    const ledger = new Ledger(definition, { dataBytesMax: 1_000 })
    ledger.open({ data: { t: text(600) } })
    when(ledger, { status: 'c', data: { u: text(600) } })
    when(ledger, 'done')
    expect(when(ledger, 'a')).toBe('applied | main new>a by k4 | main a>done by k3+ | overtaken main:c by k2+')
    expect(ledger.current.data.value).toEqual({ t: text(600) })
    expect(JSON.parse(ledger.events.at(-1)?.data ?? '')).toMatchObject({ reason: 'overtaken', omitted: ['data'] })
  })

  test('that is not filled in is kept on record whole', () => {
    const definition = pipeline({
      outOfOrder: 'hold',
      lateData: 'record',
      tracks: {
        main: {
          initial: 'new',
          transitions: { new: ['a', 'x'], a: ['b'], b: ['done'], x: ['done'] },
          final: { done: 'succeeded' },
        },
      },
    })
    const heldUp = (): Ledger => {
      const ledger = new Ledger(definition, { dataBytesMax: 1_000 })
      ledger.open({ data: { t: text(600) } })
      when(ledger, { status: 'b', data: { u: text(600) } })
      return ledger
    }
    expect(when(heldUp(), 'x')).toBe('applied | main new>x by k3 | unreachable main:b by k2+')
    const dropped = heldUp()
    when(dropped, 'x')
    expect(JSON.parse(dropped.events.at(-1)?.data ?? '')).toMatchObject({ data: { u: text(600) } })
    expect(when(heldUp(), 'a')).toBe('applied | main new>a by k3 | main a>b by k2+')
  })
})

test('the current status counts as a change when metadata alone changes', () => {
  const ledger = given(linear('reject'), { status: 'a', metadata: { m: 1 } })
  expect(when(ledger, { status: 'a', metadata: { m: 1 } })).toMatch(/^ignored duplicate/)
  expect(ledger.events.at(-1)?.data).not.toContain('"metadata"')
  expect(when(ledger, { status: 'a', metadata: { m: 2 } })).toMatch(/^applied/)
})
