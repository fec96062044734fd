import { expect, test } from 'vitest'
import { createLatencies } from '../../bench/load/latencies.mjs'

test('percentiles are within a thousandth', () => {
  const latencies = createLatencies()
  for (let ms = 1; ms <= 1_000; ms += 1) latencies.record(ms)
  const summary = latencies.summary()
  expect(summary?.p50Ms).toBeCloseTo(500, -1)
  expect(summary?.p99Ms).toBeGreaterThan(989)
  expect(summary?.p99Ms).toBeLessThan(991)
  expect(summary?.maxMs).toBeGreaterThanOrEqual(1_000)
})

test('what was refused counts as never answered', () => {
  const latencies = createLatencies()
  for (let n = 0; n < 97; n += 1) latencies.record(5)
  for (let n = 0; n < 3; n += 1) latencies.refuse()
  expect(latencies.summary()).toMatchObject({ count: 97, refused: 3, p99Ms: Number.POSITIVE_INFINITY })
  expect(latencies.summary()?.p90Ms).toBeCloseTo(5, 1)
})

test('of none there are none', () => {
  expect(createLatencies().summary()).toBeNull()
})
