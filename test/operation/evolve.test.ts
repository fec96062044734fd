import { describe, expect, test } from 'vitest'
import type { OperationEvent } from '../../src/operation/events.ts'
import { schemaVersion } from '../../src/operation/eventVersion.ts'
import { evolve } from '../../src/operation/evolve.ts'
import type { FoldMeta } from '../../src/operation/foldMeta.ts'
import { anyPipeline } from '../../src/operation/pipeline.ts'
import type { OperationState } from '../../src/operation/state.ts'
import { given, linear, when } from './support/ledger.ts'

const definition = linear('hold')

function meta(change: Partial<FoldMeta> = {}): FoldMeta {
  const at = { revision: 0n, recordedAt: '2026-01-01T00:00:00.000Z', hash: 'h', schemaVersion, dataBytes: 10 }
  return { operation: 'op-1', command: 'k', requestHash: 'r', actor: 'tester', ...at, ...change }
}

const opened: OperationEvent = {
  type: 'OperationOpened',
  data: { pipeline: { name: 'invoice', version: 1 }, theme: null, data: {}, metadata: {} },
}

function folded(state: OperationState | null, event: OperationEvent, change: Partial<FoldMeta> = {}): OperationState {
  return evolve(state, event, meta(change), () => definition)
}

function changed(from: string | null, to: string, track = 'main'): OperationEvent {
  return { type: 'StatusChanged', data: { track, from, to, service: 's' } }
}

describe('a stream no decider made is set aside:', () => {
  test.each<[string, OperationState | null, OperationEvent]>([
    ['opened twice', folded(null, opened), opened],
    ['a change before it is opened', null, changed('new', 'a')],
    ['a status the pipeline does not know', folded(null, opened), changed('new', 'x')],
    ['a change from no status', folded(null, opened), changed(null, 'a')],
    ['a track the pipeline does not know', folded(null, opened), changed('new', 'a', 'side')],
    ['a track that every object has', folded(null, opened), changed('new', 'a', 'constructor')],
    [
      'data on an unknown track',
      folded(null, opened),
      { type: 'DataMerged', data: { track: 'x', status: 'a', service: 's' } },
    ],
  ])('%s', (_what, state, event) => {
    expect(() => folded(state, event)).toThrow()
  })

  test('an unknown pipeline, with what the lookup throws', () => {
    const nowhere = () => {
      throw new Error('no such pipeline')
    }
    expect(() => evolve(null, opened, meta(), nowhere)).toThrow('no such pipeline')
  })
})

describe('a fold', () => {
  test('never changes the state it is given, and shares what it did not touch', () => {
    const before = given(definition, { status: 'a', data: { big: [1, 2, 3] } }).current
    const copy = structuredClone({ ...before, pipeline: null })
    const after = folded(before, changed('a', 'b'), { revision: 2n })
    expect({ ...before, pipeline: null }).toEqual(copy)
    expect(after.data).toBe(before.data)
    expect(after.metadata).toBe(before.metadata)
    expect(after.held).toBe(before.held)
    expect(after.pipeline).toBe(definition)
  })

  test('says who set a status and when; data merged later does not change that', () => {
    const ledger = given(definition, { status: 'a', service: 'ocr' })
    const { since, by } = ledger.current.tracks.main ?? {}
    expect(by).toBe('ocr')
    when(ledger, { status: 'a', service: 'mail', data: { x: 1 } })
    expect(ledger.current.tracks.main).toMatchObject({ since, by: 'ocr' })
    expect(ledger.current.updatedAt > (since ?? '')).toBe(true)
  })

  test('bounds the bytes of its documents from above, and measures where the sum passes the usual limit', () => {
    const ledger = given(anyPipeline)
    for (let round = 0; round < 40; round += 1) {
      when(ledger, { status: 'x', metadata: { text: `${round}`.padEnd(1_000) }, data: { n: round } })
      const { metadata, metadataBytesMax, data, dataBytesMax } = ledger.current
      expect(metadataBytesMax).toBeGreaterThanOrEqual(Buffer.byteLength(JSON.stringify(metadata)))
      expect(dataBytesMax).toBeGreaterThanOrEqual(Buffer.byteLength(JSON.stringify(data)))
      expect(metadataBytesMax).toBeLessThanOrEqual(16 * 1024)
    }
  })

  test('measures a document beyond the usual limit once for each such limit it grows by', () => {
    const data = { text: 'x'.repeat(600_000) }
    const merged: OperationEvent = { type: 'DataMerged', data: { track: 'main', status: 'new', service: 's', data } }
    const large = folded(folded(null, opened), merged, { revision: 1n, dataBytes: 700_000 })
    expect(large.dataBytesMax).toBe(Buffer.byteLength(JSON.stringify(data)))
    const more: OperationEvent = { ...merged, data: { ...merged.data, data: { more: 1 } } }
    const larger = folded(large, more, { revision: 2n, dataBytes: 1_000 })
    expect(larger.dataBytesMax).toBe(large.dataBytesMax + 1_000)
  })
})
