import { expect, test } from 'vitest'
import { createPipelineCatalog } from '../../src/commands/pipelineCatalog.ts'
import { advancing, createNode, definePipeline, linear } from './node.ts'

async function catalogOf(pipelinesMax: number) {
  const node = createNode()
  for (const name of ['a', 'b', 'c']) await definePipeline(node, name, linear)
  await definePipeline(node, 'a', advancing, 'again')
  const { log } = createNode(node.log)
  const catalog = createPipelineCatalog({ log, pipelinesMax })
  /** Whether each takes a read of the log. */
  async function reads(...versions: readonly (readonly [string, number])[]): Promise<readonly boolean[]> {
    const took: boolean[] = []
    for (const [name, version] of versions) {
      const before = log.seen.reads
      const record = await catalog.version(name, version)
      expect([record?.pipeline.name, record?.pipeline.version]).toEqual([name, version])
      took.push(log.seen.reads > before)
    }
    return took
  }
  return { catalog, log, reads }
}

test('versions are read once, and forgotten when there are too many, the one longest unused first', async () => {
  const { reads } = await catalogOf(3)
  expect(await reads(['a', 1], ['a', 2], ['b', 1])).toEqual([true, true, true])
  expect(await reads(['a', 1], ['a', 2], ['b', 1], ['a', 1])).toEqual([false, false, false, false])
  expect(await reads(['c', 1])).toEqual([true])
  expect(await reads(['a', 1], ['b', 1], ['c', 1])).toEqual([false, false, false])
  expect(await reads(['a', 2], ['a', 1])).toEqual([true, true])
})

test('what the newest read found is known as a version, and made once', async () => {
  const { catalog, reads } = await catalogOf(10)
  const newest = await catalog.newest('a')
  expect(newest?.pipeline.version).toBe(2)
  expect(await reads(['a', 2])).toEqual([false])
  expect((await catalog.newest('a'))?.pipeline).toBe(newest?.pipeline)
})

test('there is no version but whole numbers from 1, and none of them is asked for', async () => {
  const { catalog, log } = await catalogOf(10)
  for (const version of [0, -1, 1.5, Number.NaN, 2 ** 53]) expect(await catalog.version('a', version)).toBeNull()
  expect(log.seen.reads).toBe(0)
  expect(await catalog.version('a', 3)).toBeNull()
  expect(await catalog.version('nowhere', 1)).toBeNull()
})

test('reads of the newest that come together are two: the first, and one that began after all of them', async () => {
  const { catalog, log } = await catalogOf(10)
  // The first time its stream is read from the beginning, too, as its hash chain asks.
  await catalog.newest('a')
  expect(log.seen.reads).toBe(2)
  await Promise.all(Array.from({ length: 5 }, () => catalog.newest('a')))
  expect(log.seen.reads).toBe(4)
  await catalog.newest('a')
  expect(log.seen.reads).toBe(5)
})
