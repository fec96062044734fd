import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Chain } from '../../src/eventlog/chains.ts'
import type { AppendRequest } from '../../src/eventlog/eventLog.ts'
import { appendBatch } from '../../src/eventlog/postgres/appendBatch.ts'
import type { CallResult } from '../../src/eventlog/postgres/writer.ts'
import { newEvent, newStream } from './logDatabase.ts'

/** The calls of a batch, each answered as the test says, and what becomes of its requests. */
async function append(batch: readonly AppendRequest[], answer: (chains: readonly Chain[]) => CallResult) {
  const calls: (readonly Chain[])[] = []
  const call = async (chains: readonly Chain[]) => {
    calls.push(chains)
    return answer(chains)
  }
  const outcomes = await appendBatch({ call }, batch)
  return { outcomes, calls, sizes: calls.map((chains) => chains.length) }
}

/** Appends all, from position 100 on. */
function done(chains: readonly Chain[]): CallResult {
  let base = 100n
  const answers = chains.map(({ eventCount }) => {
    const answer = { kind: 'appended' as const, base }
    base += BigInt(eventCount)
    return answer
  })
  return { kind: 'done', answers }
}

const refused = (code: string, constraint: string | null = null): CallResult => ({ kind: 'refused', code, constraint })

/** A stream's next request. */
const next = (stream: string, expectedRevision: bigint, events = 1): AppendRequest => ({
  stream,
  expectedRevision,
  events: Array.from({ length: events }, () => newEvent()),
})

const first = (stream: string, events = 1): AppendRequest => ({
  ...next(stream, 0n, events),
  expectedRevision: 'noStream',
})

const bad = { data: '"bad"' }
const holdsBad = (chain: Chain | undefined) =>
  chain?.links.some(({ request }) => request.events.some(({ data }) => data === bad.data)) === true

describe('a batch', () => {
  it('is one call, whose answers tell each request its place', async () => {
    const batch = [first('a', 2), first('b'), next('a', 1n), next('a', 2n, 0), next('c', 7n, 0)]
    const { outcomes, sizes } = await append(batch, done)
    expect(sizes).toEqual([3])
    expect(outcomes).toEqual([
      { kind: 'appended', revision: 1n, position: 102n },
      { kind: 'appended', revision: 0n, position: 104n },
      { kind: 'appended', revision: 2n, position: 103n },
      { kind: 'appended', revision: 2n, position: 103n },
      // A check alone tells no position.
      { kind: 'appended', revision: 7n, position: 0n },
    ])
  })

  it('a conflict is that of the first request of its stream, the others are untried', async () => {
    const { outcomes } = await append([next('a', 3n), next('a', 4n), first('b')], () => ({
      kind: 'done',
      answers: [
        { kind: 'conflict', actualRevision: 9n },
        { kind: 'appended', base: 5n },
      ],
    }))
    expect(outcomes).toEqual([
      { kind: 'conflict', actualRevision: 9n },
      { kind: 'untried' },
      { kind: 'appended', revision: 0n, position: 6n },
    ])
  })

  it('a request that cannot follow the one before it is answered once that one is appended', async () => {
    const batch = [first('a'), next('a', 5n), next('a', 6n)]
    const [appended, conflict, untried] = [
      { kind: 'appended', revision: 0n, position: 101n },
      { kind: 'conflict', actualRevision: 0n },
      { kind: 'untried' },
    ]
    expect((await append(batch, done)).outcomes).toEqual([appended, conflict, untried])
    const away = { kind: 'unavailable' } as const
    expect((await append(batch, () => away)).outcomes).toEqual([away, untried, untried])
  })

  it('of requests that no store would take is no call', async () => {
    const { outcomes, sizes } = await append([newStream({ type: '' }), newStream({ type: '' })], done)
    expect(outcomes.map(({ kind }) => kind)).toEqual(['rejected', 'rejected'])
    expect(sizes).toEqual([])
  })

  it.each(['unavailable', 'unknown'] as const)('%s: so is each of its requests', async (kind) => {
    const { outcomes } = await append([first('a'), next('a', 0n), first('b')], () => ({ kind }))
    expect(outcomes).toEqual([{ kind }, { kind }, { kind }])
  })
})

describe('a call that is refused', () => {
  it('is tried in halves: one bad stream fails no other', async () => {
    const batch = [newStream(), newStream(), newStream(bad), newStream(), newStream()]
    const { outcomes, sizes } = await append(batch, (chains) =>
      chains.some(holdsBad) ? refused('22P02') : done(chains),
    )
    expect(outcomes.map(({ kind }) => kind)).toEqual(['appended', 'appended', 'rejected', 'appended', 'appended'])
    expect(outcomes[2]).toEqual({ kind: 'rejected', reason: 'invalid' })
    expect(sizes).toEqual([5, 3, 2, 1, 2])
  })

  it('is tried request by request, each expecting what the one before left, until one fails', async () => {
    const batch = [first('a', 2), { ...next('a', 1n), events: [newEvent(bad)] }, next('a', 2n)]
    const { outcomes, calls } = await append(batch, (chains) =>
      chains.some(holdsBad) ? refused('22P02') : done(chains),
    )
    expect(outcomes).toEqual([
      { kind: 'appended', revision: 1n, position: 102n },
      { kind: 'rejected', reason: 'invalid' },
      { kind: 'untried' },
    ])
    const sent = calls.map(([chain]) => [chain?.expected, chain?.links.length, chain?.eventCount])
    expect(sent).toEqual([
      [-1n, 3, 4],
      [-1n, 1, 2],
      [1n, 1, 1],
    ])
  })

  it('is tried request by request, and then what could not follow is answered', async () => {
    const batch = [first('a'), next('a', 0n), next('a', 5n)]
    const { outcomes } = await append(batch, (chains) =>
      chains[0]?.links.length === 2 ? refused('22P02') : done(chains),
    )
    expect(outcomes).toEqual([
      { kind: 'appended', revision: 0n, position: 101n },
      { kind: 'appended', revision: 1n, position: 101n },
      { kind: 'conflict', actualRevision: 1n },
    ])
  })

  it.each([
    ['22P02', null, { kind: 'rejected', reason: 'invalid' }],
    ['23505', 'events_id_key', { kind: 'duplicate' }],
    // Someone wrote past append_chains().
    ['23505', 'events_pkey', { kind: 'unavailable' }],
    ['23514', 'events_id_key', { kind: 'rejected', reason: 'invalid' }],
  ])('for %s (%s): %o', async (code, constraint, outcome) => {
    expect((await append([newStream()], () => refused(code, constraint))).outcomes).toEqual([outcome])
  })
})

describe('a call whose answer was lost', () => {
  it('was appended where its events are, and will not be where they are not', async () => {
    const batch = [first('a', 2), next('a', 1n), first('b')]
    const { outcomes } = await append(batch, () => {
      const found = new Map(
        [...(batch[0]?.events ?? []), ...(batch[1]?.events ?? [])].map(({ id, data, metadata }, index) => [
          id,
          {
            revision: BigInt(index),
            position: BigInt(40 + index),
            digest: createHash('sha256').update(data).update(metadata).digest('hex'),
          },
        ]),
      )
      return { kind: 'settled', found }
    })
    expect(outcomes).toEqual([
      { kind: 'appended', revision: 1n, position: 41n },
      { kind: 'appended', revision: 2n, position: 42n },
      { kind: 'unavailable' },
    ])
  })
})

describe('events of a lost call', () => {
  const batch = [first('a', 2), next('a', 1n)]
  const events = batch.flatMap((request) => request.events)
  const there = events.map(({ id, data, metadata }, index) => ({
    id,
    revision: BigInt(index),
    position: BigInt(40 + index),
    digest: createHash('sha256').update(data).update(metadata).digest('hex'),
  }))
  const away = { kind: 'unavailable' }

  it.each([
    ['one is missing', there.slice(1)],
    ['one is at another revision', there.map((one) => ({ ...one, revision: one.revision + 1n }))],
    ['one was recorded by another', there.map((one, n) => (n === 1 ? { ...one, digest: 'else' } : one))],
    ['they are not in a row', there.map((one, n) => (n === 2 ? { ...one, position: 99n } : one))],
  ])('are not taken for its own when %s', async (_, found) => {
    const { outcomes } = await append(batch, () => ({
      kind: 'settled',
      found: new Map(found.map(({ id, ...event }) => [id, event])),
    }))
    expect(outcomes).toEqual([away, away])
  })
})

describe('sixteen million characters', () => {
  const large = { data: `"${'x'.repeat(950_000)}"` }

  it('are the most of one call, unless one stream alone has more', async () => {
    const { outcomes, sizes } = await append(
      Array.from({ length: 20 }, () => newStream(large)),
      done,
    )
    expect(outcomes.every(({ kind }) => kind === 'appended')).toBe(true)
    expect(sizes).toEqual([16, 4])
  })

  it('of one stream are sent request by request', async () => {
    const batch = Array.from({ length: 17 }, (_, n) => ({
      ...(n === 0 ? first('a') : next('a', BigInt(n - 1))),
      events: [newEvent(large)],
    }))
    const { outcomes, calls } = await append(batch, done)
    expect(outcomes.every(({ kind }) => kind === 'appended')).toBe(true)
    expect(calls.map(([chain]) => chain?.links.length)).toEqual(batch.map(() => 1))
    expect(calls.map(([chain]) => chain?.expected)).toEqual(batch.map((_, n) => BigInt(n - 1)))
  })
})
