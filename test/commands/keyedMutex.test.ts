import { expect, test } from 'vitest'
import { createKeyedMutex } from '../../src/runtime/keyedMutex.ts'
import { createGate } from './faultyEventLog.ts'

test('tasks of one key run one after the other, those of others do not wait', async () => {
  const mutex = createKeyedMutex()
  const gates = [createGate(), createGate(), createGate()]
  const begun: number[] = []
  const take = (n: number) =>
    mutex.run('a', async () => {
      begun.push(n)
      await gates[n]?.passed
      if (n === 0) throw new Error('the first fails')
    })
  const [first, second] = [take(0), take(1)]
  expect(await mutex.run('b', async () => 'at once')).toBe('at once')
  expect(begun).toEqual([0])
  gates[0]?.open()
  await expect(first).rejects.toThrow('the first fails')
  await new Promise((resolve) => setImmediate(resolve))
  const third = take(2)
  await new Promise((resolve) => setImmediate(resolve))
  expect(begun).toEqual([0, 1])
  gates[1]?.open()
  await second
  gates[2]?.open()
  await third
  expect(begun).toEqual([0, 1, 2])
})
