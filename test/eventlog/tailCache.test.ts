import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { planChains } from '../../src/eventlog/chains.ts'
import type { EventLog, RecordedEvent } from '../../src/eventlog/eventLog.ts'
import { openPostgresEventLog } from '../../src/eventlog/postgres/postgresEventLog.ts'
import { TailCache } from '../../src/eventlog/postgres/tailCache.ts'
import { createLogDatabase, type LogDatabase, newEvent, newStream } from './logDatabase.ts'

/** One call of append_chains(), by this process or another: how many events each chain has, and which chains conflict. */
const call = fc.record({
  own: fc.boolean(),
  chains: fc.array(fc.record({ events: fc.integer({ min: 0, max: 4 }), conflicts: fc.boolean() }), { maxLength: 5 }),
})

describe('what this process appended itself', () => {
  it('is what the log holds, without a gap, or nothing', () => {
    fc.assert(
      fc.property(fc.array(call, { maxLength: 30 }), (calls) => {
        const own = new TailCache()
        const log: (RecordedEvent | null)[] = []
        for (const { own: isOwn, chains } of calls) {
          const head = BigInt(log.length)
          const batch = chains.map(({ events }) => ({
            stream: newStream().stream,
            expectedRevision: 6n,
            events: Array.from({ length: events }, () => newEvent()),
          }))
          const answers = chains.map(({ conflicts }) =>
            conflicts ? ({ kind: 'conflict', actualRevision: 9n } as const) : ({ kind: 'appended', base: 0n } as const),
          )
          for (const [index, { stream, events }] of batch.entries()) {
            if (answers[index]?.kind !== 'appended') continue
            for (const [place, event] of events.entries()) {
              const position = BigInt(log.length) + 1n
              log.push(isOwn ? { stream, revision: 7n + BigInt(place), position, ...event } : null)
            }
          }
          if (isOwn) own.appended(head, planChains(batch), answers)
        }
        for (let position = 0; position <= log.length; position += 1) {
          const events = own.after(BigInt(position), 3)
          if (events === null) continue
          expect(events.length).toBeGreaterThan(0)
          expect(events).toEqual(log.slice(position, position + events.length))
        }
      }),
    )
  })

  it('holds the latest of it only', () => {
    const own = new TailCache()
    let head = 0n
    for (let round = 0; round < 12; round += 1) {
      const events = Array.from({ length: 1_000 }, () => newEvent())
      own.appended(head, planChains([{ ...newStream(), events }]), [{ kind: 'appended', base: head }])
      head += 1_000n
    }
    expect(own.after(0n, 10)).toBeNull()
    expect(own.after(head - 4_097n, 10)).toBeNull()
    expect(own.after(head - 4_096n, 1)?.[0]?.position).toBe(head - 4_095n)
    expect(own.after(head - 1n, 10)?.[0]?.position).toBe(head)
    expect(own.after(head, 10)).toBeNull()
  })
})

describe('a follower of two nodes that append in turn', () => {
  let database: LogDatabase
  let nodes: EventLog[]
  beforeAll(async () => {
    database = await createLogDatabase()
    const { connectionString } = database
    nodes = [await openPostgresEventLog({ connectionString }), await openPostgresEventLog({ connectionString })]
  })
  afterAll(async () => {
    for (const node of nodes) await node.close()
    await database.drop()
  })

  it('is given just what the table holds, byte for byte', async () => {
    const [first, second] = nodes
    if (first === undefined || second === undefined) throw new Error('two nodes were opened')
    const abort = new AbortController()
    const seen: RecordedEvent[] = []
    const target = 40n
    const following = (async () => {
      for await (const events of first.subscribe({ after: 0n, maxCount: 7, signal: abort.signal })) {
        seen.push(...events)
        if ((seen.at(-1)?.position ?? 0n) >= target) return
      }
    })()
    for (let round = 0; round < 20; round += 1) {
      const node = round % 5 === 4 ? second : first
      const event = { ...newEvent(), data: `{ "round" : ${round}.0, "text": "ä\\u0041" }` }
      await node.append([{ ...newStream(), events: [event, newEvent()] }])
    }
    await following
    abort.abort()
    expect(seen).toEqual(await second.readAll({ after: 0n, maxCount: 1_000 }))
  })
})
