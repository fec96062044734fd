import fc from 'fast-check'
import { expect, test } from 'vitest'
import { joinedUtf8 } from '../../src/postgres/joinedUtf8.ts'

const joined = (texts: readonly string[]) => Buffer.from(texts.join('\n'))

test('is the bytes of the joined text, whatever is in it', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.constantFrom('', 'a', 'é', '€', '😀', 'x'.repeat(5_000), '€'.repeat(5_000), '😀'.repeat(5_000)),
  )
  fc.assert(
    fc.property(fc.array(text, { maxLength: 40 }), (texts) => {
      expect(joinedUtf8(texts, '\n').equals(joined(texts))).toBe(true)
    }),
    { numRuns: 500 },
  )
})

test('takes texts that are longer in UTF-8 than there was room for, at the beginning and at the end', () => {
  const ascii = 'x'.repeat(1_000)
  const wide = '€'.repeat(1_000)
  for (const texts of [
    [wide],
    [wide, ascii],
    [ascii, wide],
    [...Array(50).fill(ascii), wide, ...Array(50).fill(wide)],
  ]) {
    expect(joinedUtf8(texts, '\n').equals(joined(texts))).toBe(true)
  }
})

test('measures no text that surely fits: most of a large batch is written as it comes', () => {
  const texts = Array.from({ length: 1_000 }, () => 'x'.repeat(1_000))
  const bytes = joinedUtf8(texts, '\n')
  // A view of what was made at the first go: nothing was made anew.
  expect(bytes.buffer.byteLength).toBeGreaterThan(bytes.length)
  expect(bytes.buffer.byteLength).toBeLessThan(1.2 * bytes.length)
})
