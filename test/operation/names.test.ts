import { expect, test } from 'vitest'
import { sameJson } from '../../src/operation/json.ts'
import { isOperationId } from '../../src/operation/names.ts'
import { definitionRequestHash, projectionRequestHash } from '../../src/operation/requestHash.ts'
import { operationStream, pipelineStream, projectionStream, streamSubject } from '../../src/operation/streamName.ts'

test('an operation may have any name of its alphabet but the one that a route has taken', () => {
  for (const id of ['a', '7', 'streams', 'Stream', 'order:7._-']) expect(isOperationId(id)).toBe(true)
  for (const id of ['stream', '', '-a', 'a b', 'x'.repeat(129)]) expect(isOperationId(id)).toBe(false)
})

test('a stream tells whose it is', () => {
  expect(streamSubject(operationStream('a-b'))).toEqual({ kind: 'operation', name: 'a-b' })
  expect(streamSubject(pipelineStream('a-b'))).toEqual({ kind: 'pipeline', name: 'a-b' })
  expect(projectionStream('operations')).toBe('projection-operations')
  expect(streamSubject(projectionStream('operations'))).toBeNull()
})

test('what an operator does has another hash for each kind, projection and body', () => {
  const hashes = [
    projectionRequestHash('EventSkipped', 'operations', { stream: 'a', revision: 1 }),
    projectionRequestHash('EventSkipped', 'operations', { stream: 'a', revision: 2 }),
    projectionRequestHash('EventSkipped', 'others', { stream: 'a', revision: 1 }),
    projectionRequestHash('StreamRetried', 'operations', { stream: 'a', revision: 1 }),
    definitionRequestHash('operations', undefined, { stream: 'a', revision: 1 }),
  ]
  expect(new Set(hashes).size).toBe(hashes.length)
  expect(projectionRequestHash('EventSkipped', 'operations', { revision: 1, stream: 'a' })).toBe(hashes[0])
})

test.each([
  [1, 1],
  [null, null],
  ['a', 'a'],
  [[], []],
  [
    [1, [2, { a: 3 }]],
    [1, [2, { a: 3 }]],
  ],
  [{}, {}],
  [
    { a: 1, b: { c: [null] } },
    { b: { c: [null] }, a: 1 },
  ],
])('%j and %j are the same', (left, right) => {
  expect(sameJson(left, right)).toBe(true)
})

test.each([
  [1, 2],
  [1, '1'],
  [null, false],
  [null, {}],
  ['a', ['a']],
  [{}, []],
  [[1, 2], [1]],
  [
    [1, 2],
    [1, 3],
  ],
  [
    [1, 2],
    [2, 1],
  ],
  [[null], []],
  [{ a: 1 }, { a: 2 }],
  [{ a: 1 }, { b: 1 }],
  [{ a: 1 }, { a: 1, b: 2 }],
  [{ a: null }, { b: null }],
  [{ a: { b: 1 } }, { a: { b: 2 } }],
  ['a', {}],
])('%j and %j are not the same', (left, right) => {
  expect(sameJson(left, right)).toBe(false)
  expect(sameJson(right, left)).toBe(false)
})
