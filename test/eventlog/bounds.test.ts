import { describe, expect, it } from 'vitest'
import type { Chain } from '../../src/eventlog/chains.ts'
import type { EventToAppend } from '../../src/eventlog/eventLog.ts'
import { KnownStreams } from '../../src/eventlog/postgres/knownStreams.ts'
import { Notifications } from '../../src/eventlog/postgres/notifications.ts'
import { openPostgresEventLog } from '../../src/eventlog/postgres/postgresEventLog.ts'
import { TailCache } from '../../src/eventlog/postgres/tailCache.ts'
import { newEvent, until } from './logDatabase.ts'

const chainOf = (stream: string, expected: bigint, ...events: readonly EventToAppend[]): Chain => ({
  stream,
  expected,
  links: [
    { index: 0, request: { stream, expectedRevision: expected, events }, revision: expected + BigInt(events.length) },
  ],
  eventCount: events.length,
  characters: 0,
  end: null,
})
const appended = (base: bigint) => ({ kind: 'appended', base }) as const

describe('the streams a session knows', () => {
  it('are where its appends left them', () => {
    const known = new KnownStreams()
    known.learn(1n, [chainOf('a', 3n, newEvent(), newEvent())], [appended(0n)], [7])
    expect(known.numberFor(chainOf('a', 5n))).toBe(7)
    expect(known.numberFor(chainOf('a', 4n))).toBe(0)
    expect(known.writerEpoch).toBe(1n)
  })

  it('are not known any more after a conflict, without a number, in another turn, or after a refusal', () => {
    const known = new KnownStreams()
    const learn = (turn = 1n) =>
      known.learn(turn, [chainOf('a', -1n), chainOf('b', -1n)], [appended(0n), appended(0n)], [1, 2])
    const found = () => ['a', 'b'].map((stream) => known.numberFor(chainOf(stream, -1n)))
    learn()
    expect(found()).toEqual([1, 2])
    known.learn(1n, [chainOf('a', -1n)], [{ kind: 'conflict', actualRevision: 9n }], [1])
    expect(found()).toEqual([0, 2])
    learn()
    known.learn(1n, [chainOf('b', -1n)], [appended(0n)], [0])
    expect(found()).toEqual([1, 0])
    known.learn(2n, [chainOf('c', -1n)], [appended(0n)], [3])
    expect(found()).toEqual([0, 0])
    learn(2n)
    known.forget()
    expect([...found(), known.writerEpoch]).toEqual([0, 0, -1n])
  })

  it('are fifty thousand at most, the first ones go first', () => {
    const known = new KnownStreams()
    const names = Array.from({ length: 50_001 }, (_, n) => `stream-${n}`)
    const learn = (some: readonly string[]) =>
      known.learn(
        1n,
        some.map((name) => chainOf(name, -1n)),
        some.map(() => appended(0n)),
        some.map(() => 1),
      )
    const first = () => known.numberFor(chainOf('stream-0', -1n))
    learn(names.slice(0, -1))
    expect(first()).toBe(1)
    learn(names.slice(-1))
    expect(first()).toBe(0)
    expect(known.numberFor(chainOf('stream-1', -1n))).toBe(1)
  })
})

describe('the appends a node keeps for those who follow', () => {
  it('are sixteen million characters at most', () => {
    const own = new TailCache()
    const data = `"${'x'.repeat(999_998)}"`
    const append = (n: number) =>
      own.appended(BigInt(n), [chainOf('a', BigInt(n), newEvent({ data, metadata: '' }))], [appended(BigInt(n))])
    for (let n = 0; n < 16; n += 1) append(n)
    expect(own.after(0n, 100)).toHaveLength(16)
    append(16)
    expect(own.after(0n, 100)).toBeNull()
    expect(own.after(1n, 100)).toHaveLength(16)
  })
})

describe('the notifications of a node', () => {
  it('are one for all appends of a few milliseconds, none for what was told, and none after its end', async () => {
    const told: string[] = []
    const gate: { pass: () => void } = { pass: () => undefined }
    const notifications = new Notifications({
      connectionString: '',
      role: null,
      connectTimeoutMs: 1,
      spacingMs: 1,
      logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
      reader: {
        notify: (channel, payload) => {
          told.push(`${channel} ${payload}`)
          return new Promise((resolve) => {
            gate.pass = resolve
          })
        },
      },
    })
    for (const position of [3n, 3n, 2n, 5n, 7n]) notifications.appended(position)
    expect(told).toEqual(['waybill_log 3'])
    gate.pass()
    await until(() => told.length === 2, 'the rest is told')
    expect(told).toEqual(['waybill_log 3', 'waybill_log 7'])
    gate.pass()
    notifications.appended(7n)
    notifications.appended(8n)
    await until(() => told.length === 3, 'the next is told')
    expect(told.at(-1)).toBe('waybill_log 8')
    gate.pass()
    await notifications.close()
    notifications.appended(9n)
    expect(told).toHaveLength(3)
  })
})

it.each([
  { lockTimeoutMs: 4_000 },
  { statementTimeoutMs: 5_000 },
  { lockTimeoutMs: 10, statementTimeoutMs: 20, deadlineMs: 20 },
])('%o: each bound of an append must be below the next', async (bounds) => {
  const opening = openPostgresEventLog({ connectionString: 'postgres://nowhere.invalid', ...bounds })
  await expect(opening).rejects.toThrow(RangeError)
})
