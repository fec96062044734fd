import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseStrictJson } from '../../src/api/strictJson.ts'

const parse = (text: string, depthMax?: number) => parseStrictJson(Buffer.from(text), depthMax)

/** What is told of a document that is refused. */
function told(
  text: string,
  depthMax?: number,
): { detail: string; errors: readonly { pointer: string; detail: string }[] } {
  const result = parse(text, depthMax)
  if (result.ok) throw new Error(`taken: ${text.slice(0, 200)}`)
  expect(result.problem.code).toBe('invalid')
  return { detail: result.problem.detail, errors: result.problem.errors ?? [] }
}

const pointerTo = (text: string, depthMax?: number) => told(text, depthMax).errors.map(({ pointer }) => pointer)

describe('strict JSON', () => {
  test('what JSON.stringify writes is read as JSON.parse reads it', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8, stringUnit: 'binary' }), fc.boolean(), (text, spaced) => {
        // fc.json may nest deeper than its hint and name a member __proto__; both have tests of their own below.
        fc.pre(!text.includes('__proto__') && !text.includes('\\u0000'))
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
    const member = fc.stringMatching(/^[a-z"\\:{~/]{0,6}$/)
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
          const name = names[pick % body.length] ?? ''
          expect(told(nest(`{${twice.join(',')}}`))).toEqual({
            detail: 'An object has two members of the same name.',
            errors: [
              {
                in: 'body',
                pointer: `${'/0/in'.repeat(wraps)}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`,
                detail: 'is there twice',
              },
            ],
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
    ['the same with a fraction', '[9007199254740993.0]'],
    ['the same with an exponent', '[9007199254740993e0]'],
    ['a number that becomes Infinity', '{"n":1e400}'],
    ['a number that becomes 0', '[1e-400]'],
    ['a number that loses digits near 0', '[1.2345e-320]'],
    ['an escaped lone high surrogate', '["\\ud800"]'],
    ['the last of them, in capitals', '["\\uDFFF"]'],
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
    '["\\ud83d\\ude00","\\u00e9","\\\\u0000","\\\\ud800"]',
    '{"constructor":{"prototype":1},"toString":1,"hasOwnProperty":2}',
  ])('%s is taken as it is', (text) => {
    expect(parse(text)).toEqual({ ok: true, value: JSON.parse(text) })
  })

  test.each([
    ['an overlong form', [0x22, 0xc0, 0xaf, 0x22], 1],
    ['a raw surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22], 1],
    ['a cut sequence', [0x22, 0xe2, 0x82, 0x22], 1],
    ['a sequence that begins like U+FFFD', [0x22, 0xef, 0xbf, 0x22], 1],
    ['a cut end after U+FFFD and more', [0x22, 0xef, 0xbf, 0xbd, 0xc3, 0xa9, 0x61, 0xef, 0xbf], 7],
    ['a stray continuation', [0x22, 0x80, 0x22], 1],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0, 0x7d, 0], 0],
  ])('bytes with %s are refused, and where they are is told', (_what, bytes, offset) => {
    const detail = `The document is not valid UTF-8: see offset ${offset}.`
    expect(parseStrictJson(Buffer.from(bytes))).toEqual({ ok: false, problem: { code: 'invalid', detail } })
  })

  test('depth: 32 is taken, 33 is not, and 300,000 does no harm', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
    expect(parse(nested(32)).ok).toBe(true)
    expect(parse(nested(33)).ok).toBe(false)
    expect(parse(nested(300_000)).ok).toBe(false)
    expect(parse('{"a":'.repeat(100_000)).ok).toBe(false)
    expect(parse(`{"a":${'{"a":'.repeat(31)}1${'}'.repeat(32)}`).ok).toBe(true)
  })

  test.each([
    ['a second member', '{"a":{"b":1,"c":[],"b":2}}', ['/a/b']],
    ['one whose name is escaped', '{"a":[{"x~y/z":1,"x\\u007ey\\/z":2}]}', ['/a/0/x~0y~1z']],
    ['an empty one', '{"":{"":1,"":2}}', ['//']],
    ['a number', '{"data":{"items":[1,{"price": 0.123456789012345678 }]}}', ['/data/items/1/price']],
    ['the first of several', '[1, [12345678901234567890], "\\ud800", 1e400]', ['/1/0']],
    ['the document itself', '1e400', ['']],
    ['half a surrogate', '{"a":["b","\\uD800"]}', ['/a/1']],
    ['NUL', '{"a":{"b":"x\\u0000y"}}', ['/a/b']],
    ['the object of a name that cannot be told', '{"a":[{"b":1,"\\udfff":2}]}', ['/a/0']],
    ['the object of a name with NUL', '{"a":{"\\u0000":2}}', ['/a']],
    ['__proto__', '{"a":{"__proto__":1}}', ['/a/__proto__']],
    ['an escaped __proto__', '{"a":{"\\u005f_proto__":1}}', ['/a/__proto__']],
    ['after all kinds of values', '[true,false,null,"\\"",-1.5e3,{},[],{"a":"\\\\"}, -1e400]', ['/8']],
  ])('%s has a pointer', (_what, text, pointers) => {
    expect(pointerTo(text)).toEqual(pointers)
    expect(pointerTo(JSON.stringify([0]).replace('0', () => ` ${text}\n`))).toEqual(pointers.map((one) => `/0${one}`))
  })

  test('what is nested too deep has a pointer', () => {
    expect(told('{"a":[1,{"b":{"c":[]}}]}', 3)).toEqual({
      detail: 'The document is nested more than 3 deep.',
      errors: [{ in: 'body', pointer: '/a/1/b', detail: 'is nested too deep' }],
    })
    expect(pointerTo('['.repeat(300_000) + ']'.repeat(300_000), 2)).toEqual(['/0/0'])
  })

  test('a pointer that would be as long as the document stops at what can be told', () => {
    const long = 'n'.repeat(500_000)
    expect(told(`{"a":[{"${long}":{"b":1e400}}]}`).errors).toEqual([
      {
        in: 'body',
        pointer: '/a/0',
        detail: 'holds a place that must be a number that a double (IEEE 754) keeps with all its digits, 100 at most',
      },
    ])
  })

  test('a detail quotes nothing of the document', () => {
    const result = parse('{"secret": "hunter2", "secret": }')
    expect(JSON.stringify(result)).not.toContain('hunter2')
  })

  test.each([
    ['digits', '9'.repeat(700_000), false],
    ['zeros among digits', `1${'0'.repeat(700_000)}1`, false],
    ['zeros of a fraction', `0.${'0'.repeat(700_000)}1`, false],
    ['digits of an exponent', `1e${'0'.repeat(700_000)}1`, true],
    ['backslashes', `["${'\\'.repeat(700_000)}"]`, true],
    ['escaped quotes', `["${'\\"'.repeat(350_000)}"]`, true],
    ['escapes of half a surrogate', `["${'\\u00e9'.repeat(100_000)}\\ud800"]`, false],
    ['members', `{${Array.from({ length: 50_000 }, (_, n) => `"m${n}":1`).join()},"m7":2}`, false],
    [
      'members with numbers for names',
      `{${Array.from({ length: 50_000 }, (_, n) => `"${n * 7}":1`).join()},"7":2}`,
      false,
    ],
    ['open brackets', '['.repeat(700_000), false],
    ['spaces', `${' '.repeat(700_000)}x`, false],
    ['bytes that are no UTF-8', Buffer.alloc(700_000, '\ufffd\x80', 'latin1'), false],
  ])('a body full of %s takes no longer than others of its size', (_what, content, isTaken) => {
    // Each of them takes some milliseconds. In a time that grows with the square of the length it would be minutes.
    expect(parseStrictJson(Buffer.from(content)).ok).toBe(isTaken)
  })
})
