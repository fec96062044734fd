import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createPositionTokens } from '../../src/api/positionToken.ts'

const log = createPositionTokens('2f3b9a0e-7c41-4a52-9d0f-0123456789ab')
const other = createPositionTokens('2f3b9a0e-7c41-4a52-9d0f-0123456789ac')

describe('position tokens', () => {
  test('come back as the position they were made of', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), (position) => {
        const token = log.encode(position)
        expect(token).toMatch(/^[A-Za-z0-9_-]{23,35}$/)
        expect(log.decode(token)).toBe(position)
        expect(other.decode(token)).toBe('another_log')
      }),
    )
  })

  test.each([
    '',
    'a',
    '0',
    `${log.encode(1n)}!`,
    ` ${log.encode(1n)}`,
    `${log.encode(0n)}0`,
    log.encode(5n).toUpperCase(),
  ])('%j is none', (token) => {
    expect(['malformed', 'another_log']).toContain(log.decode(token))
  })

  test('one beyond what a log can hold is malformed', () => {
    expect(log.decode(log.encode(2n ** 63n))).toBe('malformed')
  })
})
