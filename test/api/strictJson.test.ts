import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseStrictJson } from '../../src/api/strictJson.ts'

const parse = (text: string) => parseStrictJson(Buffer.from(text))

describe('strict JSON', () => {
  test('what JSON.stringify writes is read as JSON.parse reads it', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8, stringUnit: 'binary' }), fc.boolean(), (text, spaced) => {
        // fc.json may nest deeper than its hint and name a member __proto__; both have tests of their own below.
        fc.pre(!text.includes('__proto__') && !text.includes('\\u0000'))
        fc.pre(/\d{16}/.exec(text) === null && !/[eE][+-]?\d/.test(text))
        const written = spaced ? JSON.stringify(JSON.parse(text), null, 2) : text
        expect(parseStrictJson(Buffer.from(written), 1_000)).toEqual({ ok: true, value: JSON.parse(written) })
      }),
      { numRuns: 500 },
    )
  })

  test('any bytes are either refused by JSON.parse as well or read to the same value', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[{}[\]:,"\\u0123eE.+\-atrufnl ]{0,24}$/), (text) => {
        const result = parse(text)
        let expected: unknown
        try {
          expected = JSON.parse(text)
        } catch {
          expect(result.ok).toBe(false)
          return
        }
        if (result.ok) expect(result.value).toEqual(expected)
      }),
      { numRuns: 3_000 },
    )
  })

  test('a duplicate member is found wherever it is and however it is written', () => {
    const member = fc.stringMatching(/^[a-z"\\:{]{0,6}$/)
    fc.assert(
      fc.property(
        fc.uniqueArray(member, { minLength: 1, maxLength: 6 }),
        fc.nat(5),
        fc.nat(4),
        (names, pick, wraps) => {
          const body = names.map((name) => `${JSON.stringify(name)}:{"x":[1,"a:b"]}`)
          const nest = (text: string) => '[{"in":'.repeat(wraps) + text + '}]'.repeat(wraps)
          expect(parse(nest(`{${body.join(',')}}`)).ok).toBe(true)
          const twice = [...body, body[pick % body.length]]
          expect(parse(nest(`{${twice.join(',')}}`))).toEqual({
            ok: false,
            detail: 'An object has two members of the same name.',
          })
        },
      ),
    )
  })

  test('names that differ in their escapes only are the same name', () => {
    expect(parse('{"a":1,"\\u0061":2}').ok).toBe(false)
  })

  test.each([
    ['an integer beyond 2^53-1', '{"n":9007199254740993}'],
    ['a negative one', '[-9007199254740993]'],
    ['an integer that happens to be a double', '[9007199254740992]'],
    ['the same with a fraction', '[9007199254740993.0]'],
    ['the same with an exponent', '[9007199254740993e0]'],
    ['a number that becomes Infinity', '{"n":1e400}'],
    ['a number that becomes 0', '[1e-400]'],
    ['a number that loses digits near 0', '[1.2345e-320]'],
    ['an escaped lone high surrogate', '["\\ud800"]'],
    ['an escaped lone low surrogate', '["\\udc00 "]'],
    ['surrogates in the wrong order', '["\\udc00\\ud800"]'],
    ['a lone surrogate in a name', '{"\\uD83D":1}'],
    ['an escaped NUL', '["a\\u0000b"]'],
    ['a NUL in a name', '{"\\u0000":1}'],
    ['__proto__', '{"a":{"__proto__":{"b":1}}}'],
    ['an escaped __proto__', '{"\\u005f_proto__":1}'],
    ['a byte order mark', '\ufeff{}'],
    ['nothing', ''],
    ['two documents', '{}{}'],
    ['NaN', '[NaN]'],
  ])('%s is refused', (_what, text) => {
    expect(parse(text).ok).toBe(false)
  })

  test.each([
    '9007199254740991',
    '-9007199254740991',
    '1e20',
    '1.5e300',
    '-1.5E+300',
    '0.1',
    '0e-400',
    '-0.0',
    '1e-300',
    '0.30000000000000004',
    '["\\ud83d\\ude00","\\u00e9","\\\\u0000","\\\\ud800"]',
    '{"constructor":{"prototype":1},"toString":1,"hasOwnProperty":2}',
  ])('%s is taken as it is', (text) => {
    expect(parse(text)).toEqual({ ok: true, value: JSON.parse(text) })
  })

  test.each([
    ['an overlong form', [0x22, 0xc0, 0xaf, 0x22]],
    ['a raw surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['a cut sequence', [0x22, 0xe2, 0x82, 0x22]],
    ['a stray continuation', [0x22, 0x80, 0x22]],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0, 0x7d, 0]],
  ])('bytes with %s are refused', (_what, bytes) => {
    expect(parseStrictJson(Buffer.from(bytes))).toEqual({ ok: false, detail: 'The document is not valid UTF-8.' })
  })

  test('depth: 32 is taken, 33 is not, and 300,000 does no harm', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
    expect(parse(nested(32)).ok).toBe(true)
    expect(parse(nested(33)).ok).toBe(false)
    expect(parse(nested(300_000)).ok).toBe(false)
    expect(parse('{"a":'.repeat(100_000)).ok).toBe(false)
    expect(parse(`{"a":${'{"a":'.repeat(31)}1${'}'.repeat(32)}`).ok).toBe(true)
  })

  test('a detail quotes nothing of the document', () => {
    const result = parse('{"secret": "hunter2", "secret": }')
    expect(JSON.stringify(result)).not.toContain('hunter2')
  })
})
