import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type AppendOutcome,
  type AppendRequest,
  appendBytesMax,
  type EventLog,
  type EventToAppend,
  type RecordedEvent,
} from '../../src/eventlog/eventLog.ts'
import { ModelLog } from './modelLog.ts'

/** One empty store, and what the suite needs of it. */
export interface LogUnderTest {
  /** Another node on the same store; the suite closes it. */
  open(): Promise<EventLog>
  /**
   * Plays a writer that is slow to commit, gives up, or dies with its work half done, over and over, until the signal aborts.
   * Null where the store has no such thing.
   */
  readonly disturb: ((signal: AbortSignal) => Promise<void>) | null
  /** What the store cannot do. Default: nothing. */
  readonly lacks?: {
    /** Positions are those of bytes in the store's files, and others write there too: they only grow. */
    readonly densePositions?: true
    /** An id that is in the log already is found within one append only. */
    readonly idIndex?: true
  }
  close(): Promise<void>
}

/** What every adapter must do. Stores are made once a suite: tests keep apart by streams of their own. */
export function describeEventLogContract(adapter: string, create: () => Promise<LogUnderTest>): void {
  describe(`the event log contract: ${adapter}`, () => {
    let store: LogUnderTest
    let log: EventLog
    /** What is said of an id that is in the log already. */
    let duplicate: AppendOutcome['kind'] = 'duplicate'

    beforeAll(async () => {
      store = await create()
      if (store.lacks?.idIndex === true) duplicate = 'appended'
      log = await store.open()
    })
    afterAll(async () => {
      await log.close()
      await store.close()
    })

    const append = (...batch: AppendRequest[]) => log.append(batch)
    const idsOf = async (stream: string) => (await log.readStream(stream, { maxCount: 1_000 })).map(({ id }) => id)
    const exists = async (stream: string) => (await idsOf(stream)).length > 0

    const expectRising = (events: readonly RecordedEvent[], after: bigint) => {
      const dense = store.lacks?.densePositions !== true
      for (const [index, { position }] of events.entries()) {
        const before = events[index - 1]?.position ?? after
        if (dense) expect(position).toBe(before + 1n)
        else expect(position).toBeGreaterThan(before)
      }
    }

    /** A stream that holds `count` events. */
    async function streamOf(count: number): Promise<{ stream: string; events: EventToAppend[] }> {
      const stream = newStream()
      const events = newEvents(count)
      const [outcome] = await append({ stream, expectedRevision: 'noStream', events })
      expect(outcome).toMatchObject({ kind: 'appended', revision: BigInt(count - 1) })
      return { stream, events }
    }

    describe('expected revision', () => {
      it('starts a stream where there is none, at revision 0', async () => {
        const stream = newStream()
        const [outcome] = await append({ stream, expectedRevision: 'noStream', events: newEvents(1) })
        expect(outcome).toEqual({ kind: 'appended', revision: 0n, position: await log.head() })
      })

      it('goes on from the revision named, and answers with those of the last event', async () => {
        const { stream } = await streamOf(3)
        const before = await log.head()
        const [outcome] = await append({ stream, expectedRevision: 2n, events: newEvents(2) })
        expect(outcome).toMatchObject({ kind: 'appended', revision: 4n })
        expect(outcome?.kind === 'appended' && outcome.position).toBe(await log.head())
        expect(await log.head()).toBeGreaterThan(before)
      })

      it.each([
        ['behind', 1n],
        ['ahead', 3n],
        ['far ahead', 2n ** 53n - 1n],
        ['noStream', 'noStream'],
      ] as const)('conflicts when the stream stands elsewhere: %s', async (_, expectedRevision) => {
        const { stream, events } = await streamOf(3)
        const [outcome] = await append({ stream, expectedRevision, events: newEvents(1) })
        expect(outcome).toEqual({ kind: 'conflict', actualRevision: 2n })
        expect(await idsOf(stream)).toEqual(events.map(({ id }) => id))
      })

      it('conflicts with revision null when there is no stream', async () => {
        const stream = newStream()
        const [outcome] = await append({ stream, expectedRevision: 0n, events: newEvents(1) })
        expect(outcome).toEqual({ kind: 'conflict', actualRevision: null })
        expect(await exists(stream)).toBe(false)
      })

      it('rejects a revision that cannot be', async () => {
        const { stream } = await streamOf(1)
        expect(await append({ stream, expectedRevision: -1n, events: newEvents(1) })).toEqual([rejected('invalid')])
        expect(await append({ stream, expectedRevision: 2n ** 63n, events: newEvents(1) })).toEqual([
          rejected('invalid'),
        ])
      })

      it('is checked alone by a request without events', async () => {
        const { stream } = await streamOf(2)
        const none = newStream()
        const before = await log.head()
        const outcomes = await append(
          { stream, expectedRevision: 1n, events: [] },
          { stream: none, expectedRevision: 'noStream', events: [] },
        )
        expect(outcomes).toMatchObject([
          { kind: 'appended', revision: 1n },
          { kind: 'appended', revision: -1n, position: 0n },
        ])
        expect(await append({ stream, expectedRevision: 0n, events: [] })).toEqual([conflict(1n)])
        expect(await append({ stream: none, expectedRevision: 0n, events: [] })).toEqual([conflict(null)])
        expect(await append({ stream, expectedRevision: 'noStream', events: [] })).toEqual([conflict(1n)])
        expect(await log.head()).toBe(before)
        expect(await exists(none)).toBe(false)
      })
    })

    describe('a batch', () => {
      it('may be empty', async () => {
        expect(await append()).toEqual([])
      })

      it('gives each request an outcome of its own, in order', async () => {
        const there = await streamOf(2)
        const streams = [newStream(), there.stream, newStream(), newStream(), newStream()]
        const outcomes = await append(
          { stream: streams[0]!, expectedRevision: 'noStream', events: newEvents(2) },
          { stream: streams[1]!, expectedRevision: 0n, events: newEvents(1) },
          { stream: streams[2]!, expectedRevision: 'noStream', events: [newEvent({ data: '{"unfinished":' })] },
          { stream: streams[3]!, expectedRevision: 'noStream', events: [newEvent({ id: there.events[0]!.id })] },
          { stream: streams[4]!, expectedRevision: 'noStream', events: newEvents(1) },
        )
        expect(outcomes).toMatchObject([
          { kind: 'appended', revision: 1n },
          conflict(1n),
          rejected('invalid'),
          { kind: duplicate },
          { kind: 'appended', revision: 0n },
        ])
        expect(await Promise.all(streams.map(idsOf))).toMatchObject([
          { length: 2 },
          { length: 2 },
          [],
          { length: duplicate === 'appended' ? 1 : 0 },
          { length: 1 },
        ])
      })

      it('takes each request as a whole or not at all', async () => {
        const { events } = await streamOf(1)
        const stream = newStream()
        const bad = [newEvent(), newEvent({ data: 'nonsense' }), newEvent()]
        const twice = newEvent()
        const old = store.lacks?.idIndex === true ? twice : newEvent({ id: events[0]!.id })
        expect(await append({ stream, expectedRevision: 'noStream', events: bad })).toEqual([rejected('invalid')])
        expect(await append({ stream, expectedRevision: 'noStream', events: [twice, old] })).toEqual([
          { kind: 'duplicate' },
        ])
        expect(await exists(stream)).toBe(false)
      })

      it('gives rising positions, without a gap where the store has none, whatever failed beside', async () => {
        const { stream } = await streamOf(1)
        const before = await log.head()
        const fresh = [newStream(), newStream()]
        await append(
          { stream: fresh[0]!, expectedRevision: 'noStream', events: newEvents(3) },
          { stream, expectedRevision: 7n, events: newEvents(2) },
          { stream: fresh[1]!, expectedRevision: 'noStream', events: newEvents(1) },
        )
        const events = await log.readAll({ after: before, maxCount: 100 })
        expect(events).toHaveLength(4)
        expectRising(events, before)
      })

      it('may be large', async () => {
        const batch = Array.from({ length: 2_000 }, () => ({
          stream: newStream(),
          expectedRevision: 'noStream' as const,
          events: newEvents(1),
        }))
        const outcomes = await log.append(batch)
        expect(outcomes.every(({ kind }) => kind === 'appended')).toBe(true)
        const positions = new Set(outcomes.map((outcome) => (outcome.kind === 'appended' ? outcome.position : 0n)))
        expect(positions.size).toBe(2_000)
        const last = batch.at(-1)!
        expect(await idsOf(last.stream)).toEqual(last.events.map(({ id }) => id))
      })

      it('may be larger than fits one call', async () => {
        const data = `"${'x'.repeat(900_000)}"`
        const batch = Array.from({ length: 40 }, () => ({
          stream: newStream(),
          expectedRevision: 'noStream' as const,
          events: [newEvent({ data })],
        }))
        const outcomes = await log.append(batch)
        expect(outcomes.every(({ kind }) => kind === 'appended')).toBe(true)
        const [event] = await log.readStream(batch.at(-1)!.stream, { maxCount: 1 })
        expect(event?.data).toBe(data)
      })
    })

    describe('a chain', () => {
      it('lets each request expect what the one before leaves behind', async () => {
        const stream = newStream()
        const other = newStream()
        const outcomes = await append(
          { stream, expectedRevision: 'noStream', events: newEvents(2) },
          { stream: other, expectedRevision: 'noStream', events: newEvents(1) },
          { stream, expectedRevision: 1n, events: [] },
          { stream, expectedRevision: 1n, events: newEvents(1) },
          { stream: other, expectedRevision: 0n, events: newEvents(1) },
        )
        expect(outcomes).toMatchObject([1n, 0n, 1n, 2n, 1n].map((revision) => ({ kind: 'appended', revision })))
        const positions = outcomes.map((outcome) => (outcome.kind === 'appended' ? outcome.position : 0n))
        expect(positions[3]).toBeGreaterThan(positions[0]!)
        expect(await idsOf(stream)).toHaveLength(3)
      })

      it('may begin with a check that finds no stream', async () => {
        const stream = newStream()
        const outcomes = await append(
          { stream, expectedRevision: 'noStream', events: [] },
          { stream, expectedRevision: 'noStream', events: newEvents(1) },
        )
        expect(outcomes).toMatchObject([
          { kind: 'appended', revision: -1n },
          { kind: 'appended', revision: 0n },
        ])
      })

      it('ends at the first link that is not appended: the later ones are untried', async () => {
        const { stream } = await streamOf(1)
        const twice = newEvent()
        const cases: [AppendRequest, AppendOutcome][] = [
          [{ stream, expectedRevision: 5n, events: newEvents(1) }, conflict(1n)],
          [{ stream, expectedRevision: 1n, events: [newEvent({ data: '{' })] }, rejected('invalid')],
          [{ stream, expectedRevision: 1n, events: [twice, twice] }, { kind: 'duplicate' }],
          [{ stream, expectedRevision: 1n, events: [hugeEvent()] }, rejected('too_large')],
        ]
        for (const [request, outcome] of cases) {
          const chained = newStream()
          const outcomes = await append(
            { stream: chained, expectedRevision: 'noStream', events: newEvents(2) },
            { ...request, stream: chained },
            { stream: chained, expectedRevision: 2n, events: newEvents(1) },
            { stream: chained, expectedRevision: 1n, events: newEvents(1) },
          )
          expect(outcomes.slice(1)).toEqual([outcome, { kind: 'untried' }, { kind: 'untried' }])
          expect(outcomes[0]).toMatchObject({ kind: 'appended', revision: 1n })
          expect(await idsOf(chained)).toHaveLength(2)
        }
      })

      it('does not let its second link be accepted on an event that another node slipped under it', async () => {
        const { stream } = await streamOf(1)
        const node = await store.open()
        const [slipped] = newEvents(1)
        expect(await node.append([{ stream, expectedRevision: 0n, events: [slipped!] }])).toMatchObject([
          { kind: 'appended' },
        ])
        const outcomes = await append(
          { stream, expectedRevision: 0n, events: newEvents(1) },
          { stream, expectedRevision: 1n, events: newEvents(1) },
        )
        expect(outcomes).toEqual([conflict(1n), { kind: 'untried' }])
        expect((await idsOf(stream)).at(-1)).toBe(slipped?.id)
        await node.close()
      })
    })

    describe('an event id', () => {
      it('is taken once, at any age, also at the current revision, where the store has an index of ids', async () => {
        const { stream, events } = await streamOf(1)
        await append({ stream, expectedRevision: 0n, events: newEvents(5) })
        expect(await append({ stream, expectedRevision: 5n, events: [events[0]!] })).toMatchObject([
          { kind: duplicate },
        ])
        const elsewhere = newStream()
        const again = { stream: elsewhere, expectedRevision: 'noStream' as const, events: [events[0]!] }
        expect(await append(again)).toMatchObject([{ kind: duplicate }])
        expect(await idsOf(stream)).toHaveLength(duplicate === 'appended' ? 7 : 6)
        expect(await exists(elsewhere)).toBe(duplicate === 'appended')
      })

      it('finds its first event, however old, for whoever asks before appending', async () => {
        const { stream, events } = await streamOf(300)
        for (let last = 299n; last < 2_000n; last += 300n) {
          expect(await append({ stream, expectedRevision: last, events: newEvents(300) })).toMatchObject([
            { kind: 'appended' },
          ])
        }
        expect(await log.readEvent(stream, events[7]!.id)).toMatchObject({ ...events[7]!, revision: 7n })
      })

      it('is taken once within a request', async () => {
        const event = newEvent()
        const stream = newStream()
        expect(await append({ stream, expectedRevision: 'noStream', events: [event, event] })).toEqual([
          { kind: 'duplicate' },
        ])
      })

      it('is taken once within a batch, in one stream or in two', async () => {
        const event = newEvent()
        const [a, b] = [newStream(), newStream()]
        expect(
          await append(
            { stream: a, expectedRevision: 'noStream', events: [event] },
            { stream: b, expectedRevision: 'noStream', events: [event] },
            { stream: a, expectedRevision: 0n, events: [event] },
            { stream: a, expectedRevision: 0n, events: newEvents(1) },
          ),
        ).toMatchObject([{ kind: 'appended' }, { kind: duplicate }, { kind: 'duplicate' }, { kind: 'untried' }])
      })

      it('says conflict, not duplicate, where both are true: the revision is checked first', async () => {
        const { stream, events } = await streamOf(1)
        expect(await append({ stream, expectedRevision: 'noStream', events })).toEqual([conflict(0n)])
      })
    })

    describe('what cannot be stored', () => {
      it('is too large beyond 1,000,000 bytes of UTF-8, all of the request together', async () => {
        const stream = newStream()
        const fits = [sizedEvent(400_000), sizedEvent(600_000)]
        const over = [sizedEvent(400_000), sizedEvent(600_001)]
        const wide = [newEvent({ data: `"${'ü'.repeat(500_000)}"` })]
        const events = newEvents(1)
        expect(await append({ stream, expectedRevision: 'noStream', events: over })).toEqual([rejected('too_large')])
        expect(await append({ stream, expectedRevision: 'noStream', events: wide })).toEqual([rejected('too_large')])
        expect(
          await append(
            { stream, expectedRevision: 'noStream', events: fits },
            { stream: newStream(), expectedRevision: 'noStream', events: [hugeEvent()] },
            { stream: newStream(), expectedRevision: 'noStream', events },
          ),
        ).toMatchObject([{ kind: 'appended' }, rejected('too_large'), { kind: 'appended' }])
      })

      it.each([
        ['no JSON', { data: '{"a":}' }],
        ['an empty text', { metadata: '' }],
        ['two texts', { data: '{} {}' }],
        ['a NUL', { data: '{"a":"\0"}' }],
        ['a raw control character', { data: '{"a":"\x01"}' }],
        ['the separator of our columns', { data: '"a"\x1e"b"' }],
        ['a raw newline in a string', { data: '"a\nb"' }],
        ['a lone surrogate', { data: '"\ud800"' }],
        ['an id that is no UUID', { id: 'event-1' }],
        ['an id that hides another', { id: `${randomUUID()},${randomUUID()}` }],
        ['an upper case UUID', { id: randomUUID().toUpperCase() }],
        ['a type without characters', { type: '' }],
        ['a type with a newline', { type: 'a\nb' }],
        ['a type too long to index', { type: 'x'.repeat(513) }],
      ])('is rejected: %s', async (_, override) => {
        const good = newStream()
        const bad = { stream: newStream(), expectedRevision: 'noStream' as const, events: [newEvent(override)] }
        const outcomes = await append(bad, { stream: good, expectedRevision: 'noStream', events: newEvents(1) })
        expect(outcomes).toMatchObject([rejected('invalid'), { kind: 'appended' }])
        expect(await exists(bad.stream)).toBe(false)
      })

      it.each(['', 'a\nb', 'a\0b', '\ud800', 'x'.repeat(513)])('is rejected: stream name %j', async (stream) => {
        const events = newEvents(1)
        expect(await append({ stream, expectedRevision: 'noStream', events })).toEqual([rejected('invalid')])
      })
    })

    it('gives data and metadata back byte for byte', async () => {
      const texts = [
        ' { "b" : 1.0 ,\n\t"a":1e3, "b":-0 }\r\n',
        '{"a":1,"a":2}',
        '"ü \u{1f600} \\u00fc \\u0000 \\ud800 \\/ / \u2028 \u007f"',
        '12345678901234567890.123456789012345678901234567890e400',
        '[]',
        'null',
        `"${'\\\\'.repeat(1_000)}"`,
        '{"quote":"\\"","comma":",","brace":"{}","null":"NULL"}',
      ]
      const stream = newStream()
      const events = texts.map((text) => newEvent({ data: text, metadata: text }))
      expect(await append({ stream, expectedRevision: 'noStream', events })).toMatchObject([{ kind: 'appended' }])
      const read = await log.readStream(stream, { maxCount: 100 })
      expect(read.map(({ data }) => data)).toEqual(texts)
      expect(read.map(({ metadata }) => metadata)).toEqual(texts)
    })

    it('takes names as they are', async () => {
      const names = ['a,b', '{"x"}', "o'clock", '$1', 'NULL', 'ü \u{1f600}', 'a\\b', '%', ' '].map(
        (name) => name + randomUUID(),
      )
      const events = names.map((type) => newEvent({ type }))
      const batch = names.map((stream, index) => ({
        stream,
        expectedRevision: 'noStream' as const,
        events: [events[index]!],
      }))
      expect(await log.append(batch)).toMatchObject(names.map(() => ({ kind: 'appended' })))
      const read = await Promise.all(names.map((stream) => log.readStream(stream, { maxCount: 1 })))
      expect(read).toMatchObject(names.map((name) => [{ stream: name, type: name }]))
    })

    describe('reading a stream', () => {
      it('gives whole events, in order of revision', async () => {
        const { stream, events } = await streamOf(3)
        const read = await log.readStream(stream, { maxCount: 10 })
        expect(read).toMatchObject(events.map((event, index) => ({ ...event, stream, revision: BigInt(index) })))
        expect(read.every((event, index) => index === 0 || event.position > read[index - 1]!.position)).toBe(true)
      })

      it('reads forwards and backwards, from the end or a revision, bounded', async () => {
        const { stream } = await streamOf(10)
        const revisions = async (options: Parameters<EventLog['readStream']>[1]) =>
          (await log.readStream(stream, options)).map(({ revision }) => Number(revision))
        expect(await revisions({ maxCount: 3 })).toEqual([0, 1, 2])
        expect(await revisions({ maxCount: 3, fromRevision: 4n })).toEqual([4, 5, 6])
        expect(await revisions({ maxCount: 1_000, fromRevision: 8n })).toEqual([8, 9])
        expect(await revisions({ maxCount: 5, fromRevision: 10n })).toEqual([])
        expect(await revisions({ maxCount: 3, direction: 'backwards' })).toEqual([9, 8, 7])
        expect(await revisions({ maxCount: 3, direction: 'backwards', fromRevision: 1n })).toEqual([1, 0])
        expect(await revisions({ maxCount: 3, direction: 'backwards', fromRevision: 2n ** 53n - 1n })).toEqual([
          9, 8, 7,
        ])
      })

      it('ends before it would give more bytes than asked for', async () => {
        const stream = newStream()
        // Three bytes each of the letters, and more than what the store keeps in the row.
        const sizes = [10, 20_000, 10, 30, 40_000]
        const events = sizes.map((size) => newEvent({ data: `"${'\u20ac'.repeat(size)}"`, metadata: '{}' }))
        await append({ stream, expectedRevision: 'noStream', events })
        const bytes = sizes.map((size) => 3 * size + 4)
        const sum = (from: number, to: number) => bytes.slice(from, to).reduce((all, one) => all + one, 0)
        const revisions = async (options: Parameters<EventLog['readStream']>[1]) =>
          (await log.readStream(stream, options)).map(({ revision }) => Number(revision))
        expect(await revisions({ maxCount: 100, bytesMax: sum(0, 5) })).toEqual([0, 1, 2, 3, 4])
        expect(await revisions({ maxCount: 100, bytesMax: sum(0, 5) - 1 })).toEqual([0, 1, 2, 3])
        expect(await revisions({ maxCount: 2, bytesMax: sum(0, 5) })).toEqual([0, 1])
        expect(await revisions({ maxCount: 100, bytesMax: sum(0, 2) - 1 })).toEqual([0])
        expect(await revisions({ maxCount: 100, bytesMax: sum(2, 4), fromRevision: 2n })).toEqual([2, 3])
        expect(await revisions({ maxCount: 100, bytesMax: sum(1, 2) - 1, fromRevision: 1n })).toEqual([])
        expect(await revisions({ maxCount: 100, bytesMax: sum(1, 5), direction: 'backwards' })).toEqual([4, 3, 2, 1])
        expect(
          await revisions({ maxCount: 100, bytesMax: sum(2, 4), direction: 'backwards', fromRevision: 3n }),
        ).toEqual([3, 2])
        expect(await log.readStream(newStream(), { maxCount: 10, bytesMax: 1_000 })).toEqual([])
      })

      it('reads long streams whole', async () => {
        const { stream, events } = await streamOf(300)
        const ids = events.map(({ id }) => id)
        const read = async (options: Parameters<EventLog['readStream']>[1]) =>
          (await log.readStream(stream, options)).map(({ id }) => id)
        expect(await read({ maxCount: 1_000 })).toEqual(ids)
        expect(await read({ maxCount: 250, fromRevision: 10n })).toEqual(ids.slice(10, 260))
        expect(await read({ maxCount: 1_000, direction: 'backwards' })).toEqual(ids.toReversed())
        expect(await read({ maxCount: 150, direction: 'backwards', fromRevision: 199n })).toEqual(
          ids.slice(50, 200).reverse(),
        )
      })

      it('finds nothing where there is no stream', async () => {
        expect(await log.readStream(newStream(), { maxCount: 10 })).toEqual([])
        expect(await log.readStream(newStream(), { maxCount: 10, direction: 'backwards' })).toEqual([])
      })

      it.each([0, -1, 1.5, 1_001, Number.NaN])('refuses maxCount %d', async (maxCount) => {
        await expect(log.readStream(newStream(), { maxCount })).rejects.toThrow(RangeError)
      })

      it('answers many reads at once, each with its own', async () => {
        const streams = await Promise.all(Array.from({ length: 40 }, (_, index) => streamOf((index % 3) + 1)))
        const reads = Array.from({ length: 600 }, (_, index) => streams[index % streams.length]!)
        const results = await Promise.all(
          reads.map(({ stream }, index) =>
            log.readStream(stream, { maxCount: 10, direction: index % 2 === 0 ? 'forwards' : 'backwards' }),
          ),
        )
        for (const [index, result] of results.entries()) {
          const ids = reads[index]!.events.map(({ id }) => id)
          expect(result.map(({ id }) => id)).toEqual(index % 2 === 0 ? ids : ids.toReversed())
        }
      })

      it('sees every append acknowledged before the call, also of another node', async () => {
        const node = await store.open()
        const stream = newStream()
        for (let revision = -1n; revision < 20n; revision += 1n) {
          const [writer, reader] = revision % 2n === 0n ? [log, node] : [node, log]
          const expectedRevision = revision === -1n ? 'noStream' : revision
          await writer.append([{ stream, expectedRevision, events: newEvents(1) }])
          expect(await reader.readStream(stream, { maxCount: 1, direction: 'backwards' })).toMatchObject([
            { revision: revision + 1n },
          ])
        }
        await node.close()
      })
    })

    it('finds an event of a stream by its id, and only of that stream', async () => {
      const { stream, events } = await streamOf(3)
      expect(await log.readEvent(stream, events[1]!.id)).toMatchObject({ ...events[1]!, stream, revision: 1n })
      expect(await log.readEvent(newStream(), events[1]!.id)).toBeNull()
      expect(await log.readEvent(stream, randomUUID())).toBeNull()
    })

    describe('reading the log', () => {
      it('goes by position, strictly after the one given, bounded', async () => {
        const before = await log.head()
        const first = await streamOf(2)
        const second = await streamOf(2)
        await append({ stream: first.stream, expectedRevision: 1n, events: newEvents(1) })
        const all = await log.readAll({ after: before, maxCount: 100 })
        expect(all.map(({ stream, revision }) => [stream, revision])).toEqual([
          [first.stream, 0n],
          [first.stream, 1n],
          [second.stream, 0n],
          [second.stream, 1n],
          [first.stream, 2n],
        ])
        expect(await log.readAll({ after: all[1]!.position, maxCount: 2 })).toEqual(all.slice(2, 4))
        expect(await log.readAll({ after: await log.head(), maxCount: 2 })).toEqual([])
        expect(await log.head()).toBe(all.at(-1)?.position)
      })

      it('begins at the beginning with 0', async () => {
        await streamOf(1)
        const [first] = await log.readAll({ after: 0n, maxCount: 1 })
        expect(first?.position).toBeGreaterThan(0n)
        if (store.lacks?.densePositions !== true) expect(first?.position).toBe(1n)
      })

      it.each([0, 10_001])('refuses maxCount %d', async (maxCount) => {
        await expect(log.readAll({ after: 0n, maxCount })).rejects.toThrow(RangeError)
      })
    })

    describe('a subscription', () => {
      it('resumes strictly after a position, in batches of at most maxCount, and goes on with what is appended', async () => {
        const before = await log.head()
        const { stream, events } = await streamOf(5)
        const [first] = await log.readAll({ after: before, maxCount: 1 })
        const abort = new AbortController()
        const seen: RecordedEvent[] = []
        for await (const batch of log.subscribe({ after: first!.position, maxCount: 2, signal: abort.signal })) {
          expect(batch.length).toBeGreaterThan(0)
          expect(batch.length).toBeLessThanOrEqual(2)
          seen.push(...batch)
          if (seen.length === 4) void append({ stream, expectedRevision: 4n, events: newEvents(1) })
          if (seen.length === 5) break
        }
        expect(seen.slice(0, 4).map(({ id }) => id)).toEqual(events.slice(1).map(({ id }) => id))
        expect(seen[4]?.revision).toBe(5n)
      })

      it('ends when its signal aborts, waiting or not, aborted before or not', async () => {
        const abort = new AbortController()
        const waiting = follow(log, await log.head(), abort.signal, () => undefined)
        const aborted = follow(log, 0n, AbortSignal.abort(), () => {
          throw new Error('nothing is to be seen')
        })
        await aborted
        abort.abort()
        await waiting
      })

      it('of another node is woken by an append', async () => {
        const node = await store.open()
        const stream = newStream()
        const abort = new AbortController()
        const following = follow(node, await log.head(), abort.signal, (events) => {
          if (events.some((event) => event.stream === stream)) abort.abort()
        })
        await append({ stream, expectedRevision: 'noStream', events: newEvents(1) })
        await following
        await node.close()
      })
    })

    describe.each([1, 2, 50])('writers racing on %d streams', (streamCount) => {
      it('lose nothing, skip nothing, and a follower sees every event once and in order', async () => {
        const before = await log.head()
        const streams = Array.from({ length: streamCount }, newStream)
        const nodes = [log, await store.open(), await store.open()]
        const disturbing = new AbortController()
        const disturbance = store.disturb?.(disturbing.signal)
        const followed: RecordedEvent[] = []
        const following = new AbortController()
        const total = { acknowledged: 0 }
        const abortWhenAllSeen = () => {
          if (disturbing.signal.aborted && followed.length >= total.acknowledged) following.abort()
        }
        const follower = follow(nodes[2]!, before, following.signal, (events) => {
          followed.push(...events)
          abortWhenAllSeen()
        })
        const racers = nodes.flatMap((node) => [0, 1].map(() => race(node, streams)))
        const acknowledged = (await Promise.all(racers)).flat()
        total.acknowledged = acknowledged.length
        disturbing.abort()
        abortWhenAllSeen()
        await follower
        await disturbance

        expect(acknowledged.length).toBeGreaterThan(streamCount)
        expect(new Set(acknowledged).size).toBe(acknowledged.length)
        expect(followed.map(({ id }) => id).toSorted()).toEqual(acknowledged.toSorted())
        expectRising(followed, before)
        for (const stream of streams) {
          const revisions = followed.filter((event) => event.stream === stream).map(({ revision }) => revision)
          expect(revisions).toEqual(revisions.map((_, index) => BigInt(index)))
        }
        await Promise.all(nodes.slice(1).map((node) => node.close()))
      })
    })

    it('answers any series of batches as the model does', async () => {
      await fc.assert(
        fc.asyncProperty(batches, async (series) => {
          const run = randomUUID()
          const model = new ModelLog(store.lacks?.idIndex !== true)
          for (const shape of series) {
            const batch = shape.map((request) => concrete(request, run, model))
            expect((await log.append(batch)).map(withoutPosition)).toEqual(model.append(batch).map(withoutPosition))
          }
          for (const [stream, ids] of model.streams) expect(await idsOf(stream)).toEqual(ids)
        }),
        { numRuns: 60 },
      )
    })
  })
}

const newStream = () => `stream-${randomUUID()}`
const newEvent = (override: Partial<EventToAppend> = {}): EventToAppend => ({
  id: randomUUID(),
  type: 'Happened',
  data: '{"value":1}',
  metadata: '{}',
  ...override,
})
const newEvents = (count: number) => Array.from({ length: count }, () => newEvent())
/** An event of so many bytes in all. */
const sizedEvent = (bytes: number) => newEvent({ type: 'T', data: `"${'x'.repeat(bytes - 5)}"`, metadata: '{}' })
const hugeEvent = () => sizedEvent(appendBytesMax + 1)
const conflict = (actualRevision: bigint | null): AppendOutcome => ({ kind: 'conflict', actualRevision })
const rejected = (reason: 'too_large' | 'invalid'): AppendOutcome => ({ kind: 'rejected', reason })

const withoutPosition = (outcome: AppendOutcome) =>
  outcome.kind === 'appended' ? { ...outcome, position: null } : outcome

async function follow(
  log: EventLog,
  after: bigint,
  signal: AbortSignal,
  handle: (events: readonly RecordedEvent[]) => void,
): Promise<void> {
  for await (const events of log.subscribe({ after, maxCount: 100, signal })) handle(events)
}

/** Appends to all streams by turns, in batches, learning from conflicts; returns the ids acknowledged. */
async function race(log: EventLog, streams: readonly string[]): Promise<string[]> {
  const known = new Map<string, bigint>()
  const acknowledged: string[] = []
  for (let round = 0; round < 25; round += 1) {
    const batch = streams.map((stream) => ({
      stream,
      expectedRevision: known.get(stream) ?? ('noStream' as const),
      events: newEvents(1 + (round % 2)),
    }))
    const outcomes = await log.append(batch)
    for (const [index, outcome] of outcomes.entries()) {
      const { stream, events } = batch[index]!
      if (outcome.kind === 'appended') {
        known.set(stream, outcome.revision)
        acknowledged.push(...events.map(({ id }) => id))
      } else if (outcome.kind === 'conflict') {
        if (outcome.actualRevision === null) known.delete(stream)
        else known.set(stream, outcome.actualRevision)
      } else {
        throw new Error(`${stream}: ${outcome.kind}`)
      }
    }
  }
  return acknowledged
}

interface RequestShape {
  readonly stream: number
  /** How far off the expected revision is from what the model will hold by then; 'noStream' as it is. */
  readonly off: number | 'noStream'
  /** Indexes into a small set of ids, so that some come twice. */
  readonly events: readonly { readonly id: number; readonly valid: boolean }[]
}

const requestShape: fc.Arbitrary<RequestShape> = fc.record({
  stream: fc.nat({ max: 2 }),
  off: fc.oneof(
    { weight: 8, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.constantFrom(-1, 1, 'noStream' as const) },
  ),
  events: fc.array(fc.record({ id: fc.nat({ max: 60 }), valid: fc.nat({ max: 30 }).map((die) => die > 0) }), {
    maxLength: 3,
  }),
})
const batches = fc.array(fc.array(requestShape, { maxLength: 6 }), { minLength: 1, maxLength: 6 })

function concrete(shape: RequestShape, run: string, model: ModelLog): AppendRequest {
  const stream = `model-${shape.stream}-${run}`
  const length = model.streams.get(stream)?.length ?? 0
  const revision = BigInt(length - 1) + BigInt(shape.off === 'noStream' ? 0 : shape.off)
  return {
    stream,
    expectedRevision: shape.off === 'noStream' || revision < 0n ? 'noStream' : revision,
    events: shape.events.map(({ id, valid }) =>
      newEvent({ id: `${run.slice(0, -4)}${id.toString(16).padStart(4, '0')}`, data: valid ? '{}' : '{' }),
    ),
  }
}
