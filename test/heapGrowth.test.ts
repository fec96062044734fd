import { getHeapStatistics } from 'node:v8'
import { afterAll, expect, test } from 'vitest'
import { boundHeapGrowth } from '../src/heapGrowth.ts'

// The flag is the process's: other test files run under it meanwhile, which changes when they collect garbage and no more.
afterAll(() => boundHeapGrowth(0))

/** What a heap takes at most, in MiB, of which some 30 are alive while their parts are replaced again and again. */
function mostHeapMib(): number {
  const object = (n: number) => ({ n, text: [n, n + 1, n + 2, n + 3] })
  const alive = Array.from({ length: 200_000 }, (_, n) => object(n))
  let most = 0
  for (let n = 0; n < 3_000_000; n += 1) {
    alive[(n * 7_919) % alive.length] = object(n)
    if (n % 10_000 === 0) most = Math.max(most, getHeapStatistics().total_heap_size)
  }
  return most / 2 ** 20
}

test('a bound on the growth of the heap is kept by V8, and is less than it would take by itself', () => {
  boundHeapGrowth(50)
  const bounded = mostHeapMib()
  boundHeapGrowth(0)
  expect(mostHeapMib() - bounded).toBeGreaterThan(20)
})
