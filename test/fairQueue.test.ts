import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FairQueue } from '../src/runtime/fairQueue.ts'
import { createSemaphore } from '../src/runtime/semaphore.ts'

test('owners take turns, each in order of arrival, and nothing is lost', () => {
  const item = fc.constantFrom('a', 'b', 'c')
  fc.assert(
    fc.property(fc.array(fc.option(item, { nil: null }), { maxLength: 60 }), (acts) => {
      const queue = new FairQueue<{ owner: string; number: number }>()
      const waiting = new Map<string, number[]>()
      /** How many of other owners went before, since an owner's first item was the next of its own. */
      const passed = new Map<string, number>()
      const shift = () => {
        const got = queue.shift()
        expect(got === undefined).toBe(waiting.size === 0)
        if (got === undefined) return
        const line = waiting.get(got.owner) ?? []
        expect(got.number).toBe(line.shift())
        if (line.length === 0) waiting.delete(got.owner)
        passed.set(got.owner, 0)
        for (const other of waiting.keys()) {
          if (other === got.owner) continue
          passed.set(other, (passed.get(other) ?? 0) + 1)
          expect(passed.get(other)).toBeLessThanOrEqual(2)
        }
      }
      for (const [number, owner] of acts.entries()) {
        if (owner === null) {
          shift()
          continue
        }
        queue.push(owner, { owner, number })
        if (!waiting.has(owner)) passed.set(owner, 0)
        waiting.set(owner, [...(waiting.get(owner) ?? []), number])
      }
      while (!queue.isEmpty) shift()
      expect(waiting.size).toBe(0)
    }),
  )
})

test('a semaphore lets the owners of waiting tasks take turns', async () => {
  const semaphore = createSemaphore(1)
  const ran: string[] = []
  const run = (owner: string, name: string) => semaphore.run(async () => void ran.push(name), owner)
  await Promise.all([run('a', 'a1'), run('a', 'a2'), run('a', 'a3'), run('a', 'a4'), run('b', 'b1'), run('b', 'b2')])
  expect(ran).toEqual(['a1', 'a2', 'b1', 'a3', 'b2', 'a4'])
})
