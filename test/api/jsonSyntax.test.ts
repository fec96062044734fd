import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { syntaxErrorIndex } from '../../src/api/jsonSyntax.ts'
import { parseStrictJson } from '../../src/api/strictJson.ts'

const isJson = (text: string) => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const document = fc
  .tuple(fc.json({ maxDepth: 4 }), fc.boolean())
  .map(([text, spaced]) => (spaced ? JSON.stringify(JSON.parse(text), null, 1) : text))

describe('where a text ceases to be JSON', () => {
  test.each([
    ['', 0],
    ['  ', 2],
    ['{', 1],
    ['{}{}', 2],
    ['[1,]', 3],
    ['{"a":1,}', 7],
    ['{a:1}', 1],
    ['{"a" 1}', 5],
    ['{"a":1 "b":2}', 7],
    ['[1}', 2],
    ['{"a":1]', 6],
    ['undefined', 0],
    ['NaN', 0],
    ['nul', 3],
    ['nulL', 3],
    ['tru]', 3],
    ["'a'", 0],
    ['"a', 2],
    ['"\t"', 1],
    ['"\\x"', 2],
    ['"\\u12g4"', 5],
    ['"\\u12"', 5],
    ['01', 1],
    ['+1', 0],
    ['.5', 0],
    ['1.', 2],
    ['1.e5', 2],
    ['1e', 2],
    ['1e+]', 3],
    ['-', 1],
    ['--1', 1],
    ['0x1', 1],
    ['[1 2]', 3],
    ['\u00a01', 0],
    ['{"a":1} // done', 8],
  ])('%j: %d', (text, index) => {
    expect(isJson(text)).toBe(false)
    expect(syntaxErrorIndex(text)).toBe(index)
  })

  test('a character that may stand nowhere is found where it is', () => {
    fc.assert(
      fc.property(document, fc.nat(), (text, place) => {
        const at = place % (text.length + 1)
        expect(syntaxErrorIndex(`${text.slice(0, at)}\u0001${text.slice(at)}`)).toBe(at)
      }),
      { numRuns: 2_000 },
    )
  })

  test('a text that is cut ends too early, and wrong is what does not go on', () => {
    fc.assert(
      fc.property(
        document,
        fc.nat(),
        fc.constantFrom(...'{}[]:,"\\u0123eE.+-atrfnl '.split('')),
        (text, place, other) => {
          const cut = text.slice(0, place % text.length)
          if (!isJson(cut)) expect(syntaxErrorIndex(cut)).toBe(cut.length)
          // Another character in its place: nothing before it is wrong.
          const changed = cut + other + text.slice(cut.length + 1)
          if (!isJson(changed)) expect(syntaxErrorIndex(changed)).toBeGreaterThanOrEqual(cut.length)
        },
      ),
      { numRuns: 2_000 },
    )
  })

  test.each([
    ['{"ü":1,}', 'The document is not valid JSON: see offset 8.'],
    ['["é"', 'The document is not valid JSON: it ends too early, at offset 5.'],
    ['', 'The document is not valid JSON: it ends too early, at offset 0.'],
    ['\ufeff{}', 'The document is not valid JSON: it has a byte order mark at offset 0.'],
  ])('is told in bytes: %j', (text, detail) => {
    expect(parseStrictJson(Buffer.from(text))).toEqual({ ok: false, problem: { code: 'invalid', detail } })
  })
})
