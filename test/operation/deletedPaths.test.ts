import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { afterPatch } from '../../src/operation/deletedPaths.ts'
import { emptyObject, isJsonObject, type JsonObject } from '../../src/operation/json.ts'
import { fillAbsent, mergePatch } from '../../src/operation/mergePatch.ts'
import { documents } from './support/arbitraries.ts'
import { given, linear, when } from './support/ledger.ts'

describe('late data', () => {
  test('does not bring back what a newer report deleted, at any depth', () => {
    const ledger = given(
      linear('advance'),
      { status: 'a', sequence: 1, data: { error: 'disk full', part: { a: 1, b: 2 } } },
      { status: 'a', sequence: 3, data: { error: null, part: { a: null } } },
    )
    when(ledger, { status: 'a', sequence: 2, data: { error: 'still full', part: { a: 9, c: 3 } } })
    expect(ledger.current.data.value).toEqual({ part: { b: 2, c: 3 } })
  })

  test('does not bring in what a newer report said is not there', () => {
    const ledger = given(linear('advance'), { status: 'a', sequence: 3, metadata: { error: null } })
    when(ledger, { status: 'a', sequence: 1, metadata: { error: 'disk full', host: 'h1' } })
    expect(ledger.current.metadata.value).toEqual({ host: 'h1' })
  })

  test('fills again what was set since it was deleted, and then deleted nothing', () => {
    const ledger = given(
      linear('advance'),
      { status: 'b', data: { part: { a: null, b: null } } },
      { status: 'b', data: { part: 'a scalar forgets what was below it' } },
      { status: 'b', data: { part: { c: 1 } } },
    )
    when(ledger, { status: 'a', data: { part: { a: 9, b: 9 } } })
    expect(ledger.current.data.value).toEqual({ part: { c: 1, a: 9, b: 9 } })
  })

  test('of a report that said what is gone deletes nothing, and is not remembered', () => {
    const ledger = given(linear('advance'), { status: 'b', data: { x: 1 } })
    when(ledger, { status: 'a', data: { x: null, y: null } })
    when(ledger, { status: 'a', data: { y: 2 } })
    expect(ledger.current.data.value).toEqual({ x: 1, y: 2 })
  })
})

describe('a null for a member that is absent', () => {
  test('is a change, once', () => {
    const ledger = given(linear('advance'), 'a')
    expect(when(ledger, { status: 'a', data: { gone: null } })).toBe('applied | main =a by k3')
    expect(when(ledger, { status: 'a', data: { gone: null } })).toMatch(/^ignored duplicate/)
    expect(when(ledger, { status: 'a', data: { gone: 1 } })).toMatch(/^applied/)
    expect(when(ledger, { status: 'a', data: { gone: null } })).toMatch(/^applied/)
  })
})

const paths = (from: number, count: number): JsonObject =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`m${from + index}`, null]))

describe('more deleted paths than are remembered', () => {
  test('1,000 are; with one more none is, and nothing is ever filled again', () => {
    const ledger = given(linear('advance'), { status: 'b', data: paths(0, 1_000) })
    when(ledger, { status: 'a', data: { m0: 1, other: 1 } })
    expect(ledger.current.data.value).toEqual({ other: 1 })
    expect(when(ledger, { status: 'done', data: paths(1_000, 1) })).toMatch(/^applied/)
    expect(ledger.current.deleted).toBeNull()
    expect(when(ledger, { status: 'a', data: { m0: 1, late: 1 } })).toMatch(/^ignored overtaken/)
    expect(ledger.current.data.value).toEqual({ other: 1 })
  })

  test('a null for an absent member is then no change', () => {
    const ledger = given(linear('advance'), { status: 'b', data: paths(0, 1_000) })
    expect(when(ledger, { status: 'b', data: paths(1_000, 1) })).toMatch(/^ignored duplicate/)
    expect(ledger.current.deleted).not.toBeNull()
    when(ledger, { status: 'b', data: { x: 1, ...paths(1_000, 1) } })
    expect(ledger.current.deleted).toBeNull()
    expect(when(ledger, { status: 'b', data: { never: null } })).toMatch(/^ignored duplicate/)
    expect(when(ledger, { status: 'b', data: { x: null } })).toMatch(/^applied/)
  })

  test('are counted over both documents, and in bytes', () => {
    const both = given(linear('advance'), { status: 'b', data: paths(0, 600), metadata: paths(0, 400) })
    expect(both.current.deleted).not.toBeNull()
    when(both, { status: 'b', metadata: { x: 1, y: null } })
    expect(both.current.deleted).toBeNull()
    const long = (length: number) => given(linear('advance'), { status: 'b', data: { ['€'.repeat(length)]: null } })
    // A path is measured as a JSON pointer: its slash counts.
    expect(long(10_922).current.deleted).not.toBeNull()
    expect(long(10_923).current.deleted).toBeNull()
  })
})

/** Each leaf, as the members that lead to it. */
function leaves(tree: JsonObject, before: readonly string[] = []): string[][] {
  return Object.keys(tree).flatMap((member) => {
    const below = tree[member] ?? null
    return isJsonObject(below) ? leaves(below, [...before, member]) : [[...before, member]]
  })
}

function isAt(document: JsonObject, path: readonly string[]): boolean {
  let at: unknown = document
  for (const member of path) {
    if (!isJsonObject(at) || !Object.hasOwn(at, member)) return false
    at = at[member]
  }
  return true
}

test('whatever is merged, what is remembered is absent, and late data leaves it so', () => {
  fc.assert(
    fc.property(documents, fc.array(documents, { maxLength: 8 }), documents, (first, patches, late) => {
      let document = mergePatch(emptyObject, first)
      let tree = afterPatch(emptyObject, emptyObject, first)
      for (const patch of patches) {
        const before = JSON.stringify([document, tree])
        const next = mergePatch(document, patch)
        const remembered = afterPatch(tree, document, patch)
        assert.equal(JSON.stringify([document, tree]), before)
        for (const path of leaves(patch)) {
          const isNull =
            path.reduce<unknown>((at, member) => (isJsonObject(at) ? at[member] : undefined), patch) === null
          if (isNull)
            assert.ok(leaves(remembered).some((leaf) => leaf.every((member, index) => path[index] === member)))
        }
        document = next
        tree = remembered
      }
      for (const path of leaves(tree)) assert.ok(!isAt(document, path))
      const filled = fillAbsent(document, late, tree)
      for (const path of leaves(tree)) assert.ok(!isAt(filled, path))
    }),
    { numRuns: 500 },
  )
})
