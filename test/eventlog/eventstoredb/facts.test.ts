import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type Append,
  type AppendAnswer,
  type AppendStream,
  type EventToStore,
  type Query,
  type ReadItem,
  StoreClient,
  type StoredEvent,
} from '../../../src/eventlog/eventstoredb/client.ts'
import { type StandIn, startStandIn } from './standIn.ts'

/** What the adapter relies on, of a real server where EVENTSTORE_URL names one, and of the stand-in otherwise. */
describe('facts of the protocol', () => {
  let standIn: StandIn | null = null
  let client: StoreClient
  let appends: AppendStream
  const waiting = new Map<number, (answer: AppendAnswer) => void>()
  let correlation = 0

  beforeAll(async () => {
    const real = process.env.EVENTSTORE_URL
    if (real === undefined) standIn = await startStandIn()
    client = new StoreClient(real ?? standIn?.connectionString ?? '')
    appends = await client.openAppends({
      answered: (number, answer) => waiting.get(number)?.(answer),
      // The test that waits for an answer then waits in vain.
      lost: () => undefined,
    })
  })
  afterAll(async () => {
    await client.close()
    await standIn?.close()
  })

  const append = (request: Append) =>
    new Promise<AppendAnswer>((resolve) => {
      correlation += 1
      waiting.set(correlation, resolve)
      appends.send(correlation, request)
    })
  const read = async (query: Omit<Query, 'timeoutMs'>) => (await items(client, query)).flatMap(eventOf)

  it('an append answers with revision and position of its last event; each event has a position of its own', async () => {
    const stream = newStream()
    const answer = await append({ stream, expected: -1n, events: [event(), event(), event()] })
    const found = await read({ from: { stream, revision: 'start' }, direction: 'forwards', maxCount: 10 })
    expect(found.map(({ revision }) => revision)).toEqual([0n, 1n, 2n])
    expect(answer).toEqual({ kind: 'written', revision: 2n, position: found[2]?.position })
    expect(new Set(found.map(({ position }) => position)).size).toBe(3)
    const first = found[0]?.position ?? 0n
    const all = await read({ from: { position: first }, direction: 'forwards', maxCount: 100 })
    expect(all.filter((each) => each.stream === stream)).toEqual(found)
  })

  it('a conflict tells where the stream stands', async () => {
    const stream = newStream()
    expect(await append({ stream, expected: 3n, events: [event()] })).toEqual(conflict(null))
    await append({ stream, expected: -1n, events: [event(), event()] })
    for (const expected of [-1n, 0n, 7n, 2n ** 53n - 1n]) {
      expect(await append({ stream, expected, events: [event()] })).toEqual(conflict(1n))
    }
  })

  it('the same ids at the same revisions are answered as before, whatever came since, and written once', async () => {
    const stream = newStream()
    const first = { stream, expected: -1n, events: [event(), event()] }
    const written = await append(first)
    await append({ stream, expected: 1n, events: [event()] })
    const otherBytes = first.events.map((each) => ({ ...each, data: '{"other":true}' }))
    expect(await append(first)).toEqual(written)
    expect(await append({ ...first, events: otherBytes })).toEqual(written)
    expect(await append({ ...first, events: [event(), event()] })).toEqual(conflict(2n))
    const found = await read({ from: { stream, revision: 'start' }, direction: 'forwards', maxCount: 10 })
    expect(found).toHaveLength(3)
  })

  it('an old id at the current revision is written again', async () => {
    const stream = newStream()
    const old = event()
    await append({ stream, expected: -1n, events: [old, event()] })
    expect(await append({ stream, expected: 1n, events: [old] })).toMatchObject({ kind: 'written', revision: 2n })
  })

  it('an append of more than 1,048,576 bytes is refused, and the stream of appends goes on', async () => {
    const stream = newStream()
    const half = `"${'x'.repeat(530_000)}"`
    const large = { stream, expected: -1n, events: [event(half), event(half)] }
    expect(await append(large)).toEqual({ kind: 'too_large' })
    const fits = `"${'x'.repeat(499_000)}"`
    expect(await append({ stream, expected: -1n, events: [event(fits), event(fits)] })).toMatchObject({
      kind: 'written',
    })
  })

  it('data and metadata come back byte for byte', async () => {
    const stream = newStream()
    const texts = ['{ "b":1.0,\n"a":1e3,"a":2}', '"ü \u{1f600} \\u0000"', 'null', '\ufeff[]', '12345678901234567890']
    await append({ stream, expected: -1n, events: texts.map((text) => ({ ...event(text), metadata: text })) })
    const found = await read({ from: { stream, revision: 'start' }, direction: 'forwards', maxCount: 10 })
    expect(found.map(({ data }) => data)).toEqual(texts)
    expect(found.map(({ metadata }) => metadata)).toEqual(texts)
  })

  it('a read begins with the place it names, either way, and ends where there is no more', async () => {
    const stream = newStream()
    await append({ stream, expected: -1n, events: [event(), event(), event(), event()] })
    const revisions = async (revision: bigint | 'start' | 'end', direction: Query['direction']) =>
      (await read({ from: { stream, revision }, direction, maxCount: 3 })).map((each) => Number(each.revision))
    expect(await revisions(2n, 'forwards')).toEqual([2, 3])
    expect(await revisions(4n, 'forwards')).toEqual([])
    expect(await revisions(2n, 'backwards')).toEqual([2, 1, 0])
    expect(await revisions('end', 'backwards')).toEqual([3, 2, 1])
    const [last] = await read({ from: { position: 'end' }, direction: 'backwards', maxCount: 1 })
    expect(last).toMatchObject({ stream, revision: 3n })
    const after = await read({ from: { position: last?.position ?? 0n }, direction: 'forwards', maxCount: 10 })
    expect(after).toEqual([last])
  })

  it('a stream that does not exist is said not to', async () => {
    const query = { from: { stream: newStream(), revision: 'start' }, direction: 'forwards', maxCount: 1 } as const
    expect(await items(client, query)).toEqual([{ kind: 'no_stream' }])
  })

  it('what the server writes for itself is not among what is read', async () => {
    standIn?.store.writeSystemEvents(30)
    const stream = newStream()
    await append({ stream, expected: -1n, events: [event()] })
    const all = await read({ from: { position: 'start' }, direction: 'forwards', maxCount: 10_000 })
    expect(all.filter((each) => each.stream.startsWith('$'))).toEqual([])
  })

  it('a subscription begins after its position, and goes on with what is appended', async () => {
    const stream = newStream()
    await append({ stream, expected: -1n, events: [event(), event()] })
    const [first, second] = await read({ from: { stream, revision: 'start' }, direction: 'forwards', maxCount: 2 })
    const position = first?.position ?? 0n
    const opened = await client.openRead({ from: { position }, direction: 'forwards', maxCount: null, timeoutMs: null })
    const seen: StoredEvent[] = []
    await new Promise<void>((resolve, reject) => {
      opened.onEnd(reject)
      opened.onItem((item) => {
        seen.push(...eventOf(item))
        if (seen.length === 1) void append({ stream, expected: 1n, events: [event()] })
        if (seen.length === 2) resolve()
      })
    })
    opened.cancel()
    expect(seen).toMatchObject([second, { stream, revision: 2n }])
  })

  it('a subscription tells now and then how far it has looked', async () => {
    const stream = newStream()
    const [last] = await read({ from: { position: 'end' }, direction: 'backwards', maxCount: 1 })
    const position = last?.position ?? 0n
    for (let done = 0n; done < 4_000n; done += 400n) {
      await append({ stream, expected: done - 1n, events: Array.from({ length: 400 }, () => event()) })
    }
    const opened = await client.openRead({ from: { position }, direction: 'forwards', maxCount: null, timeoutMs: null })
    let seen = position
    const reached = await new Promise<bigint>((resolve, reject) => {
      opened.onEnd(reject)
      opened.onItem((item) => {
        if (item.kind === 'event') seen = item.event.position
        if (item.kind === 'checkpoint' && item.position > position) resolve(item.position)
      })
    })
    opened.cancel()
    expect(reached).toBe(seen)
  })
})

const newStream = () => `facts-${randomUUID()}`
const conflict = (actualRevision: bigint | null) => ({ kind: 'conflict', actualRevision })
const event = (data = '{}'): EventToStore => ({ id: randomUUID(), type: 'Happened', data, metadata: '{}' })
const eventOf = (item: ReadItem) => (item.kind === 'event' ? [item.event] : [])

async function items(client: StoreClient, query: Omit<Query, 'timeoutMs'>): Promise<ReadItem[]> {
  const opened = await client.openRead({ ...query, timeoutMs: 10_000 })
  const found: ReadItem[] = []
  await new Promise<void>((resolve, reject) => {
    opened.onItem((item) => item.kind !== 'other' && found.push(item))
    opened.onEnd((error) => (error === null ? resolve() : reject(error)))
  })
  return found
}
