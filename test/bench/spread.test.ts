import { expect, test } from 'vitest'
import { isGrowing, median, percentile, ratios, spread } from '../../bench/report/spread.mjs'

test('a median lies in the middle of what was measured, in whatever order', () => {
  expect(median([9, 1, 5])).toBe(5)
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(spread([9, 1, 5])).toEqual({ value: 5, min: 1, max: 9 })
})

test('a ratio is taken within each round, so that drift falls on both', () => {
  // The machine was twice as fast in the second round, and the ratio the same.
  expect(ratios([50, 100, 60], [100, 200, 100])).toEqual({ value: 0.5, min: 0.5, max: 0.6 })
})

test('a percentile is a value that was measured', () => {
  const values = Array.from({ length: 200 }, (_, n) => n + 1)
  expect(percentile(values, 0.5)).toBe(100)
  expect(percentile(values, 0.99)).toBe(198)
  expect(percentile([3], 0.99)).toBe(3)
  expect(percentile([3, 4], 0)).toBe(3)
})

test('a backlog grows when its end lies above its middle, and is more than a batch', () => {
  const seconds = Array.from({ length: 60 }, (_, n) => n)
  expect(isGrowing(seconds.map((second) => second * 1_000))).toBe(true)
  expect(isGrowing(seconds.map((second) => second * 100))).toBe(false)
  expect(isGrowing(seconds.map((second) => 50_000 + (second % 5) * 1_000))).toBe(false)
  expect(isGrowing([])).toBe(false)
})
