import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Document } from '../../src/operation/document.ts'
import type { JsonObject } from '../../src/operation/json.ts'
import { fillAbsent, mergePatch } from '../../src/operation/mergePatch.ts'

/** Members of few names, so that patches meet what is there. */
const { object } = fc.letrec((tie) => ({
  value: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(null, true, 0, -0, 1.5, '', 'é', '€😀', '"\\') },
    { weight: 1, arbitrary: fc.array(tie('value'), { maxLength: 3 }) },
    { weight: 2, arbitrary: tie('object') },
  ),
  object: fc.dictionary(fc.constantFrom('a', 'b', '__proto__', 'data', 'metadata', '10'), tie('value'), {
    maxKeys: 4,
    noNullPrototype: true,
  }),
}))
const documents = object.map((value): JsonObject => JSON.parse(JSON.stringify(value)))

const ways = [
  ['a value', (value: JsonObject) => Document.of(value)],
  ['at rest', (value: JsonObject) => Document.ofText(JSON.stringify(value))],
] as const

describe.each(ways)('a document that is %s', (_way, documentOf) => {
  test.each([
    ['merges', mergePatch],
    ['fills', fillAbsent],
  ])('%s as its value does, and stays itself when nothing changes', (_what, apply) => {
    fc.assert(
      fc.property(documents, documents, fc.boolean(), (value, patch, hasText) => {
        const before = JSON.stringify(value)
        const document = documentOf(value)
        const expected = apply(value, patch)
        const patched = document.patched(patch, apply, hasText ? JSON.stringify(patch) : undefined)
        expect(patched === document).toBe(expected === value)
        expect(JSON.stringify(patched.value)).toBe(JSON.stringify(expected))
        expect(patched.bytes).toBe(Buffer.byteLength(JSON.stringify(expected)))
        expect(patched.text).toBe(JSON.stringify(expected))
        expect(patched.bytes).toBe(Buffer.byteLength(patched.text))
        expect(document.text).toBe(before)
      }),
      { numRuns: 500 },
    )
  })
})

test('a document rests once its text was asked for, and is a value as long as it was not', () => {
  const value = { a: 1 }
  const document = Document.of(value)
  expect([document.isResting, document.is(value), document.value === value]).toEqual([false, true, true])
  expect(document.text).toBe('{"a":1}')
  expect([document.isResting, document.is(value)]).toEqual([true, false])
  expect(document.value).toEqual(value)
  expect(JSON.stringify({ document })).toBe('{"document":{"a":1}}')
})

test('the text of a patch that takes the place of all there was is kept as it is', () => {
  const patch = { a: 2 }
  const text = '{"a":2}'
  for (const before of [{}, { a: 1 }]) {
    expect(Document.of(before).patched(patch, mergePatch, text).isResting).toBe(true)
    expect(Document.of(before).patched(patch, mergePatch, undefined).is(patch)).toBe(true)
  }
  expect(Document.of({ b: 1 }).patched(patch, mergePatch, text).isResting).toBe(false)
})

test.each(['', '[]', '"a"', ' {}'])('%j is no document', (text) => {
  expect(() => Document.ofText(text)).toThrow('JSON object')
})
