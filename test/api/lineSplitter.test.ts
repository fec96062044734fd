import { isUtf8 } from 'node:buffer'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createLineSplitter, type Line } from '../../src/api/bulk/lineSplitter.ts'

function split(bytes: Buffer, cuts: readonly number[], lineBytesMax: number): Line[] {
  const splitter = createLineSplitter(lineBytesMax)
  const lines: Line[] = []
  const take = () => {
    for (let line = splitter.next(); line !== null; line = splitter.next()) lines.push(line)
  }
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((one, other) => one - other), bytes.length]
  for (const [index, start] of places.slice(0, -1).entries()) {
    splitter.push(bytes.subarray(start, places[index + 1]))
    if (index % 2 === 0) take()
  }
  splitter.end()
  take()
  return lines
}

/** The same, plainly. */
function expected(bytes: Buffer, lineBytesMax: number): Line[] {
  const lines: Buffer[] = []
  let rest = bytes
  for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10)) {
    lines.push(rest.subarray(0, end))
    rest = rest.subarray(end + 1)
  }
  if (rest.length > 0) lines.push(rest)
  return lines.flatMap((line, index): Line[] => {
    const number = index + 1
    if (line.length > lineBytesMax) return [{ number, fault: 'too_long' }]
    const text = line.toString('utf8')
    if (!Buffer.from(text).equals(line)) {
      // The longest beginning that is UTF-8.
      const lengths = Array.from({ length: line.length }, (_, length) => length)
      const offset = lengths.findLast((length) => isUtf8(line.subarray(0, length))) ?? 0
      return [{ number, fault: 'not_utf8', offset }]
    }
    return text.trim() === '' ? [] : [{ number, text }]
  })
}

describe('lines', () => {
  test('are the same however the bytes are cut', () => {
    const piece = fc.oneof(
      fc.constantFrom('\n', '\n', '\r\n', ' ', 'a', 'ü', '€', '😀', '{"a":1}'),
      fc.stringMatching(/^[a-z]{0,12}$/),
    )
    const bytes = fc.array(
      fc.oneof(
        { weight: 9, arbitrary: piece.map((text) => Buffer.from(text)) },
        { weight: 1, arbitrary: fc.constantFrom(Buffer.from([0xff]), Buffer.from([0xe2, 0x82])) },
      ),
      { maxLength: 30 },
    )
    fc.assert(
      fc.property(bytes, fc.array(fc.nat(200), { maxLength: 8 }), fc.constantFrom(4, 8, 1_000), (parts, cuts, max) => {
        const all = Buffer.concat(parts)
        expect(split(all, cuts, max)).toEqual(expected(all, max))
      }),
      { numRuns: 2_000 },
    )
  })
})
