import { expect, test } from 'vitest'
import { failedResults } from '../../src/api/bulk/resultForm.ts'
import { ResultQueue } from '../../src/api/bulk/resultQueue.ts'

test('results count towards what an upload holds until they are taken', () => {
  const queue = new ResultQueue(failedResults)
  const first = queue.open({ number: 1, text: 'x'.repeat(10) })
  const second = queue.open({ number: 2, text: 'x'.repeat(20) })
  expect(queue.bytesInHand).toBe(30)
  const allowedStatuses = Array.from({ length: 100 }, (_, n) => `${n}`.padEnd(100, 'x'))
  queue.settle(second, { code: 'unknown_status', detail: 'There is none.', allowedStatuses })
  expect(queue.bytesInHand).toBeGreaterThan(10_000)
  expect(queue.takeSettled().count).toBe(0)
  queue.settle(first, '{"outcome":"applied"}\n')
  const { text, count } = queue.takeSettled()
  expect([count, queue.bytesInHand]).toEqual([2, 0])
  expect(text).toContain('unknown_status')
  expect(queue.end()).toBe('{"lines":2,"failed":1}\n')
})
