import { expect, it } from 'vitest'
import type { RecordedEvent } from '../../src/eventlog/eventLog.ts'
import type { StreamRead } from '../../src/eventlog/postgres/reader.ts'
import { StreamLoader } from '../../src/eventlog/postgres/streamLoader.ts'

const readOf = (stream: string): StreamRead => ({ stream, fromRevision: 0n, maxCount: 1 })
const eventOf = ({ stream }: StreamRead): RecordedEvent => ({
  stream,
  revision: 0n,
  position: 1n,
  id: '00000000-0000-4000-8000-000000000000',
  type: 'Happened',
  data: '{}',
  metadata: '{}',
})

it('gathers the reads of one turn into one query, and those that come while two are under way into the next', async () => {
  const queries: { reads: readonly StreamRead[]; answer: () => void }[] = []
  const loader = new StreamLoader(
    'forwards',
    (reads) =>
      new Promise((resolve) => {
        queries.push({ reads, answer: () => resolve(reads.map((read) => [eventOf(read)])) })
      }),
  )
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  const load = (...names: string[]) => names.map((name) => loader.read(readOf(name)))
  const all = load('a', 'b', 'c')
  await turn()
  all.push(...load('d'))
  await turn()
  all.push(...load('e'))
  await turn()
  all.push(...load('f'))
  await turn()
  const sent = () => queries.map(({ reads }) => reads.map(({ stream }) => stream).join(''))
  expect(sent()).toEqual(['abc', 'd'])
  for (let answered = 0; answered < 3; answered += 1) {
    queries[answered]?.answer()
    await turn()
    await turn()
  }
  expect(sent()).toEqual(['abc', 'd', 'ef'])
  expect((await Promise.all(all)).map(([event]) => event?.stream).join('')).toBe('abcdef')
})

it('tells all reads of a query that failed, and goes on', async () => {
  let failing = true
  const loader = new StreamLoader('forwards', async (reads) => {
    if (failing) throw new Error('no server')
    return reads.map((read) => [eventOf(read)])
  })
  const results = await Promise.allSettled([loader.read(readOf('a')), loader.read(readOf('b'))])
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  failing = false
  expect(await loader.read(readOf('c'))).toHaveLength(1)
})

it.each(['forwards', 'backwards'] as const)(
  'fetches long streams in pieces, %s, a few at a time',
  async (direction) => {
    const length = 700
    const queries: number[] = []
    const loader = new StreamLoader(direction, async (reads) => {
      queries.push(reads.reduce((sum, read) => sum + read.maxCount, 0))
      return reads.map((read) => {
        const from = Number(read.fromRevision)
        const revisions =
          direction === 'forwards'
            ? Array.from({ length: Math.max(0, length - from) }, (_, index) => from + index)
            : Array.from({ length: Math.min(from, length - 1) + 1 }, (_, index) => Math.min(from, length - 1) - index)
        return revisions.slice(0, read.maxCount).map((revision) => ({ ...eventOf(read), revision: BigInt(revision) }))
      })
    })
    const counts = [1, 64, 65, 500, 1_000, ...Array.from({ length: 20 }, () => 1_000)]
    const fromRevision = direction === 'forwards' ? 0n : 10_000n
    const results = await Promise.all(
      counts.map((maxCount, index) => loader.read({ stream: `s${index}`, fromRevision, maxCount })),
    )
    for (const [index, events] of results.entries()) {
      expect(events.length).toBe(Math.min(counts[index] ?? 0, length))
      const expected = events.map((_, at) => BigInt(direction === 'forwards' ? at : length - 1 - at))
      expect(events.map(({ revision }) => revision)).toEqual(expected)
    }
    expect(Math.max(...queries)).toBeLessThanOrEqual(8_000)
  },
)

it('asks for many streams at a time and few events of each, then for few long streams, and those first', async () => {
  const queries: { names: string; maxCounts: readonly number[]; answer: () => void }[] = []
  const lengths: Readonly<Record<string, number>> = { long: 1_500 }
  const loader = new StreamLoader(
    'forwards',
    (reads) =>
      new Promise((resolve) => {
        const events = reads.map((read) => {
          const left = (lengths[read.stream] ?? 1) - Number(read.fromRevision)
          return Array.from({ length: Math.min(left, read.maxCount) }, (_, n) => ({
            ...eventOf(read),
            revision: read.fromRevision + BigInt(n),
          }))
        })
        queries.push({
          names: reads.map(({ stream }) => stream).join(' '),
          maxCounts: reads.map(({ maxCount }) => maxCount),
          answer: () => resolve(events),
        })
      }),
  )
  const turns = async () => {
    for (let n = 0; n < 3; n += 1) await new Promise((resolve) => setImmediate(resolve))
  }
  const read = (stream: string) => loader.read({ stream, fromRevision: 0n, maxCount: 2_000 })
  const first = [read('long'), read('a')]
  await turns()
  const second = [read('b')]
  await turns()
  const third = [read('c')]
  await turns()
  expect(queries.map(({ names }) => names)).toEqual(['long a', 'b'])
  expect(queries[0]?.maxCounts).toEqual([64, 64])
  queries[0]?.answer()
  await turns()
  // What was begun comes before what has not begun.
  expect(queries.map(({ names }) => names)).toEqual(['long a', 'b', 'long'])
  expect(queries[2]?.maxCounts).toEqual([1_000])
  queries[2]?.answer()
  await turns()
  expect(queries.map(({ names }) => names)).toEqual(['long a', 'b', 'long', 'long'])
  expect(queries[3]?.maxCounts).toEqual([936])
  queries[3]?.answer()
  await turns()
  expect(queries.map(({ names }) => names)).toEqual(['long a', 'b', 'long', 'long', 'c'])
  queries[1]?.answer()
  queries[4]?.answer()
  const results = await Promise.all([...first, ...second, ...third])
  expect(results.map((events) => events.length)).toEqual([1_500, 1, 1, 1])
})
