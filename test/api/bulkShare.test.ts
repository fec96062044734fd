import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BulkShare } from '../../src/api/bulk/bulkShare.ts'

test('a key with many uploads has no more than a key with one, and all of it when it is alone', () => {
  const share = new BulkShare({ bulkCommandsMax: 2_000, bulkCommandsTotalMax: 2_500 })
  for (let count = 0; count < 10; count += 1) share.enter('many')
  expect(share.commandsMax('many')).toBe(250)
  share.enter('one')
  expect(share.commandsMax('one')).toBe(1_250)
  expect(share.commandsMax('many')).toBe(125)
  share.leave('one')
  expect(share.commandsMax('many')).toBe(250)
  for (let count = 1; count < 10; count += 1) share.leave('many')
  expect(share.commandsMax('many')).toBe(2_000)
})

test('all together never have more in hand than the limit, and each its part once the others have released theirs', () => {
  const step = fc.record({ owner: fc.constantFrom('a', 'b', 'c'), act: fc.constantFrom('enter', 'take', 'release') })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), fc.array(step, { maxLength: 200 }), (bulkCommandsTotalMax, steps) => {
      const share = new BulkShare({ bulkCommandsMax: 1_000, bulkCommandsTotalMax })
      const inHand = new Map<string, number>()
      for (const { owner, act } of steps) {
        const had = inHand.get(owner) ?? 0
        if (act === 'enter') share.enter(owner)
        else if (act === 'take' && share.take(owner)) inHand.set(owner, had + 1)
        else if (act === 'release' && had > 0) {
          share.release(owner)
          inHand.set(owner, had - 1)
        }
        const together = [...inHand.values()].reduce((sum, count) => sum + count, 0)
        expect(share.inHand).toBe(together)
        expect(together).toBeLessThanOrEqual(bulkCommandsTotalMax)
      }
      for (const [owner, count] of inHand) for (let n = 0; n < count; n += 1) share.release(owner)
      expect(share.inHand).toBe(0)
      share.enter('late')
      expect(share.take('late')).toBe(true)
    }),
  )
})
