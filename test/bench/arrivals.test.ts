import { expect, test } from 'vitest'
import { arrivals } from '../../bench/load/arrivals.mjs'

test('requests are due at even distances, the first at once', () => {
  const { dueMs } = arrivals(4)
  expect([0, 1, 2, 3].map(dueMs)).toEqual([0, 250, 500, 750])
})

test('whoever looks late finds all due that came due meanwhile', () => {
  const { dueBy } = arrivals(1_000)
  expect(dueBy(-0.1)).toBe(0)
  expect(dueBy(0)).toBe(1)
  expect(dueBy(0.9)).toBe(1)
  expect(dueBy(250)).toBe(251)
})

test('a request is due by its own due time, at any pace', () => {
  for (const perSecond of [7, 333, 1_000, 4_999, 5_000, 12_345]) {
    const { dueMs, dueBy } = arrivals(perSecond)
    const wrong = Array.from({ length: 20_000 }, (_, n) => n).filter((n) => dueBy(dueMs(n)) !== n + 1)
    expect(wrong, `at ${perSecond}/s`).toEqual([])
  }
})
