import { performance } from 'node:perf_hooks'
import { describe, expect, test } from 'vitest'
import { bearerToken } from '../../src/access/apiKey.ts'
import { createLineSplitter } from '../../src/api/bulk/lineSplitter.ts'
import { knownRevisions } from '../../src/api/entityTags.ts'
import { ndjsonTypeOf, requireUtf8 } from '../../src/api/mediaTypes.ts'
import { parseStrictJsonText } from '../../src/api/strictJson.ts'

const short = 16_000
const factor = 16
/** Work in proportion takes 16 times as long, quadratic work 256 times. Between them nothing depends on the machine's pace. */
const ratioMax = 120
/** What takes less than this for the long input is not measured against noise. */
const noiseMs = 5
const runs = 7
/** On a machine that is busy all the while, the least of seven may still be no measure. */
const attemptsMax = 5

/** The least of several: what else the machine does only adds to it. */
function leastMs(work: () => void): number {
  let least = Number.POSITIVE_INFINITY
  for (let run = 0; run < runs; run += 1) {
    const beganMs = performance.now()
    work()
    least = Math.min(least, performance.now() - beganMs)
  }
  return least
}

function expectLinear(work: (length: number) => () => void): void {
  let [one, many] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    one = Math.min(one, leastMs(work(short)))
    many = Math.min(many, leastMs(work(short * factor)))
    if (many <= noiseMs || many / one < ratioMax) return
  }
  expect(many / one).toBeLessThan(ratioMax)
}

const documents: Readonly<Record<string, (length: number) => string>> = {
  'digits of an integer': (n) => '7'.repeat(n),
  'zeros of an integer': (n) => `1${'0'.repeat(n)}`,
  'zeros between the digits of an integer': (n) => `1${'0'.repeat(n)}1`,
  'zeros between the digits of a fraction': (n) => `1.1${'0'.repeat(n)}1`,
  'digits of a fraction': (n) => `0.${'7'.repeat(n)}`,
  'zeros of a fraction': (n) => `0.${'0'.repeat(n)}`,
  'zeros before the last digit of a fraction': (n) => `0.${'0'.repeat(n)}1`,
  'digits on both sides of the point': (n) => `${'7'.repeat(n / 2)}.${'7'.repeat(n / 2)}e5`,
  'digits of an exponent': (n) => `1e${'7'.repeat(n)}`,
  'zeros of an exponent': (n) => `1e-${'0'.repeat(n)}1`,
  'an unfinished number': (n) => `${'7'.repeat(n)}.`,
  'many numbers': (n) => `[${'1.10,'.repeat(n / 5)}1]`,
  'a plain string': (n) => `"${'a'.repeat(n)}"`,
  'an unfinished string': (n) => `"${'a'.repeat(n)}`,
  backslashes: (n) => `"${'\\\\'.repeat(n / 2)}"`,
  'escaped quotes': (n) => `"${'\\"'.repeat(n / 2)}"`,
  'escaped half surrogates': (n) => `"${'\\ud800'.repeat(n / 6)}"`,
  'an unfinished escape': (n) => `"${'\\'.repeat(n - 1)}`,
  'white space': (n) => `${' '.repeat(n)}1${' '.repeat(n)}`,
  'white space and nothing': (n) => ' '.repeat(n),
  words: (n) => `[${'true,null,false,'.repeat(n / 16)}0]`,
  'an unfinished word': (n) => `[${'true,'.repeat(n / 5)}tru`,
  'brackets without an end': (n) => '['.repeat(n),
  'braces without an end': (n) => '{"a":'.repeat(n / 5),
  'members of one name': (n) => `{${'"a":1,'.repeat(n / 6)}"a":1}`,
  'members of many names': (n) => `{${Array.from({ length: n / 10 }, (_, at) => `"m${at}":1`).join(',')}}`,
  'a long name': (n) => `{"${'a'.repeat(n)}":7e,}`,
}

describe('strict JSON takes time in proportion to', () => {
  test.each(Object.entries(documents))('%s', (_, documentOf) => {
    expectLinear((length) => {
      const text = documentOf(length)
      return () => void parseStrictJsonText(text)
    })
  })
})

const quietly = (work: () => unknown) => () => {
  try {
    work()
  } catch {
    // A refusal is an answer.
  }
}

const headers: readonly [name: string, of: (n: number) => string, read: (text: string) => unknown][] = [
  ['a charset after white space', (n) => `application/json;${' '.repeat(n)}x`, requireUtf8],
  ['a charset of many beginnings', (n) => `application/json${'; charset '.repeat(n / 10)}`, requireUtf8],
  ['Accept with many ranges', (n) => 'a/b;q=0.1,'.repeat(n / 10), ndjsonTypeOf],
  ['Accept with white space', (n) => `a/b${' '.repeat(n)};`, ndjsonTypeOf],
  ['tags without an end', (n) => `"${'a'.repeat(n)}`, (text) => knownRevisions({ 'if-none-match': text })],
  ['tags and white space', (n) => `"1"${' '.repeat(n)}x`, (text) => knownRevisions({ 'if-none-match': text })],
  ['commas between tags', (n) => `${', '.repeat(n / 2)}x`, (text) => knownRevisions({ 'if-none-match': text })],
  ['spaces before a key', (n) => `bearer${' '.repeat(n)}!`, bearerToken],
  ['a key that is none', (n) => `bearer ${'='.repeat(n)}!`, bearerToken],
]

describe('headers take time in proportion to', () => {
  test.each(headers)('%s', (_, textOf, read) => {
    expectLinear((length) => {
      const text = textOf(length)
      return quietly(() => read(text))
    })
  })
})

test('a blank line of a bulk request takes time in proportion to its length', () => {
  expectLinear((length) => {
    const line = Buffer.from(`${' '.repeat(length)}x\n`)
    return () => {
      const splitter = createLineSplitter(10_000_000)
      splitter.push(line)
      splitter.next()
    }
  })
})
