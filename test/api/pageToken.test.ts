import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodePageToken, encodePageToken } from '../../src/api/pageToken.ts'

test('a page token comes back as its place under its own filter, and under no other', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string(), { minLength: 1, maxLength: 3 }),
      fc.string(),
      fc.string(),
      (place, filter, another) => {
        const token = encodePageToken(place, filter)
        expect(decodePageToken(token, filter, place.length)).toEqual(place)
        expect(decodePageToken(token, filter, place.length + 1)).toBe('malformed')
        if (another !== filter) expect(decodePageToken(token, another, place.length)).toBe('another_filter')
      },
    ),
  )
})

test('garbage is malformed', () => {
  for (const token of ['', 'x', 'W10', 'bnVsbA', Buffer.from('[1,2,3]').toString('base64url')]) {
    expect(decodePageToken(token, 'filter', 2)).toBe('malformed')
  }
})
