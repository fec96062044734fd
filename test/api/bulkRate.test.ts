import { expect, test } from 'vitest'
import { createRateCounts } from '../../src/api/rateLimit.ts'
import { startApi } from './apiHarness.ts'

test('what a key has used up of a second is its own, and the next second begins anew', () => {
  let nowMs = 0
  const rate = createRateCounts(2, () => nowMs)
  rate.count('a')
  expect(rate.hasRoom('a')).toBe(true)
  expect(rate.count('a')).toEqual({ current: 2, ttl: 1_000 })
  expect([rate.hasRoom('a'), rate.hasRoom('b')]).toEqual([false, true])
  nowMs = 1_000
  expect(rate.hasRoom('a')).toBe(true)
})

test('lines of an upload count as requests: it is held back, and refused none', async () => {
  const api = await startApi({ limits: { requestsPerSMax: 5 } })
  try {
    const startedMs = performance.now()
    const lines = Array.from({ length: 12 }, (_, n) => ({
      type: 'OpenOperation',
      operation: `op-${n}`,
      pipeline: 'any',
    }))
    const results = await api.bulk(lines)
    expect(results.map(({ httpStatus }) => httpStatus)).toEqual(lines.map(() => 201))
    // 13 with the request itself: not within two seconds of a window each.
    expect(performance.now() - startedMs).toBeGreaterThan(1_000)
  } finally {
    await api.close()
  }
})
