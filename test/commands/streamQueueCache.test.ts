import { describe, expect, it } from 'vitest'
import { rememberReceipt } from '../../src/commands/receipts.ts'
import { roughJsonBytes } from '../../src/commands/roughJsonBytes.ts'
import { measureQueue, newStreamQueue, type StreamQueue } from '../../src/commands/streamQueue.ts'
import { createStreamQueueCache } from '../../src/commands/streamQueueCache.ts'
import { Document } from '../../src/operation/document.ts'
import type { OperationState } from '../../src/operation/state.ts'

interface Parts {
  readonly tracks?: number
  readonly data?: Record<string, string>
  readonly metadata?: Record<string, string>
  readonly bound?: number
  readonly held?: readonly number[]
}

function stateOf({ tracks = 0, data = {}, metadata = {}, bound = 0, held = [] }: Parts): OperationState {
  return Object.assign(Object.create(null), {
    data: Document.of(data),
    metadata: Document.of(metadata),
    dataBytesMax: bound,
    metadataBytesMax: 0,
    held: held.map((bytes) => ({ bytes })),
    pipeline: { tracks: new Map(Array.from({ length: tracks }, (_, n) => [`track-${n}`, {}])) },
  })
}

describe('what a queue takes in memory', () => {
  const empty = 1_200

  function measured(parts: Parts, queue = newStreamQueue('op-1', 'operation-op-1')): number {
    queue.state = stateOf(parts)
    return measureQueue(queue)
  }

  it('is little without an operation', () => {
    expect(measureQueue(newStreamQueue('op-1', 'operation-op-1'))).toBe(empty)
  })

  it('grows with tracks, held reports and receipts', () => {
    expect(measured({})).toBe(empty)
    expect(measured({ tracks: 3 })).toBe(empty + 3 * 400)
    expect(measured({ held: [100, 20] })).toBe(empty + 240)
    const queue = newStreamQueue('op-1', 'operation-op-1')
    const receipt = { actor: 'a', requestHash: '', outcome: 'opened', reason: undefined, opened: true } as const
    rememberReceipt(queue.receipts, 'key-1', { ...receipt, revision: 0n, position: 1n }, 10)
    expect(measured({}, queue)).toBe(empty + 320)
  })

  it('is bounded by what came, until that is worth a look at the documents', () => {
    const queue = newStreamQueue('op-1', 'operation-op-1')
    const documents = { data: { text: 'x'.repeat(1_000) }, metadata: { note: 'y'.repeat(100) } }
    expect(measured({ ...documents, bound: 4_096 }, queue)).toBe(empty + 4_096)
    const walked = 32 + 16 + 4 + 16 + 1_000 + 32 + 16 + 4 + 16 + 100
    expect(measured({ ...documents, bound: 4_097 }, queue)).toBe(empty + walked)
    expect(measured({ ...documents, bound: 4_097 + 500 }, queue)).toBe(empty + walked + 500)
  })

  it('is told by documents that rest, whatever came', () => {
    const queue = newStreamQueue('op-1', 'operation-op-1')
    const resting = (text: string) => {
      const state = stateOf({ data: { text }, bound: 1_000_000 })
      for (const document of [state.data, state.metadata]) expect(document.text).toMatch(/^{/)
      queue.state = state
      return measureQueue(queue)
    }
    expect(resting('x'.repeat(1_000))).toBe(empty + 1_000 + '{"text":""}{}'.length)
    expect(resting('€'.repeat(1_000))).toBe(empty + 2 * (1_000 + '{"text":""}'.length) + '{}'.length)
    expect(resting('')).toBe(empty + '{"text":""}{}'.length)
  })

  it('large documents are looked at again only when as much again has come', () => {
    const queue = newStreamQueue('op-1', 'operation-op-1')
    const data = { text: 'x'.repeat(10_000) }
    const walked = 32 + 16 + 4 + 16 + 10_000 + 32
    expect(measured({ data, bound: 20_000 }, queue)).toBe(empty + walked)
    expect(measured({ data, bound: 20_000 + walked }, queue)).toBe(empty + 2 * walked)
    expect(measured({ data, bound: 20_001 + walked }, queue)).toBe(empty + walked)
    // Folded anew, from a snapshot that bounds it more closely.
    expect(measured({ data, bound: 10_100 }, queue)).toBe(empty + walked)
  })
})

it.each([
  [null, 8],
  [true, 8],
  [12, 8],
  ['', 16],
  ['four', 20],
  [[], 32],
  [[1, 'four', null], 32 + 8 + 8 + 8 + 20 + 8 + 8],
  [{}, 32],
  [{ ab: 1, c: 'four', d: null, e: [2] }, 32 + 18 + 8 + 17 + 20 + 17 + 8 + 17 + 32 + 8 + 8],
] as const)('%j takes about %i bytes in memory', (value, bytes) => {
  expect(roughJsonBytes(value)).toBe(bytes)
})

describe('the queues of a node', () => {
  const createCache = (queuesMax: number, bytesMax = 1_000_000) =>
    createStreamQueueCache({ streamOf: (operation) => `operation-${operation}`, queuesMax, bytesMax })

  type Cache = ReturnType<typeof createCache>

  function put(cache: Cache, operation: string, parts: Parts = {}): StreamQueue {
    const queue = cache.take(operation)
    queue.state ??= stateOf(parts)
    cache.settle(queue)
    return queue
  }

  const held = (cache: Cache, ...operations: readonly string[]) =>
    operations.filter((operation) => cache.get(operation) !== undefined).join('')

  it('are counted and measured', () => {
    const cache = createCache(10)
    expect(put(cache, 'a').stream).toBe('operation-a')
    put(cache, 'b', { held: [100] })
    expect([cache.size(), cache.bytes()]).toEqual([2, 2 * 1_200 + 200])
    put(cache, 'a')
    expect([cache.size(), cache.bytes()]).toEqual([2, 2 * 1_200 + 200])
  })

  it('go when there are too many, the one longest unused first', () => {
    const cache = createCache(4)
    for (const operation of ['a', 'b', 'c', 'd']) put(cache, operation)
    put(cache, 'a')
    put(cache, 'e')
    expect(held(cache, 'a', 'b', 'c', 'd', 'e')).toBe('acde')
    expect(cache.bytes()).toBe(4 * 1_200)
  })

  it('one among the youngest quarter keeps its place when it is used', () => {
    const cache = createCache(8)
    for (const operation of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) put(cache, operation)
    put(cache, 'f')
    for (const operation of ['1', '2', '3', '4', '5', '6']) put(cache, operation)
    expect(held(cache, 'f', 'g', 'h')).toBe('gh')
    const other = createCache(8)
    for (const operation of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) put(other, operation)
    put(other, 'e')
    for (const operation of ['1', '2', '3', '4', '5', '6']) put(other, operation)
    expect(held(other, 'e', 'g', 'h')).toBe('eh')
  })

  it('go when they take too much, to a little below the bound', () => {
    const cache = createCache(100, 12_000)
    for (let n = 0; n < 10; n += 1) put(cache, `op-${n}`)
    expect(cache.size()).toBe(10)
    put(cache, 'one-more')
    // 97 % of 12,000 bytes are nine of them.
    expect([cache.size(), cache.bytes()]).toEqual([9, 9 * 1_200])
    expect(cache.get('op-1')).toBeUndefined()
    expect(cache.get('op-2')).toBeDefined()
  })

  it('that are in use stay, whatever they take', () => {
    const cache = createCache(2)
    const [waiting, inFlight, asking] = ['a', 'b', 'c'].map((operation) => cache.take(operation))
    for (const queue of [waiting, inFlight, asking]) if (queue !== undefined) queue.state = stateOf({})
    Object.assign(waiting ?? {}, { waiting: [{}] })
    Object.assign(inFlight ?? {}, { inFlight: true })
    Object.assign(asking ?? {}, { asking: 1 })
    put(cache, 'd')
    put(cache, 'e')
    expect(held(cache, 'a', 'b', 'c', 'd', 'e')).toBe('abc')
  })

  it('without an operation are not kept once nothing goes on in them', () => {
    const cache = createCache(2)
    const queue = cache.take('nowhere')
    queue.asking = 1
    cache.settle(queue)
    expect(cache.get('nowhere')).toBe(queue)
    queue.asking = 0
    cache.settle(queue)
    expect([cache.get('nowhere'), cache.size(), cache.bytes()]).toEqual([undefined, 0, 0])
    // One that is no longer kept is nobody's to measure.
    queue.state = stateOf({})
    cache.settle(queue)
    expect([cache.size(), cache.bytes()]).toEqual([0, 0])
  })
})
