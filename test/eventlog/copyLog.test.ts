import { randomUUID } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { type CopySource, type CopyTarget, copyLog } from '../../src/eventlog/copy/copyLog.ts'
import type { EventLog, RecordedEvent } from '../../src/eventlog/eventLog.ts'
import { openEventStoreSource, openEventStoreTarget } from '../../src/eventlog/eventstoredb/eventStoreCopy.ts'
import { openEventStoreLog } from '../../src/eventlog/eventstoredb/eventStoreLog.ts'
import { openPostgresSource, openPostgresTarget } from '../../src/eventlog/postgres/postgresCopy.ts'
import { openPostgresEventLog } from '../../src/eventlog/postgres/postgresEventLog.ts'
import { createTestDatabase } from '../support/database.ts'
import { startStandIn } from './eventstoredb/standIn.ts'
import { createLogDatabase, newEvent, newStream } from './logDatabase.ts'

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function database() {
  const made = await createTestDatabase()
  closers.push(() => made.drop())
  return made.connectionString
}

async function openLog(connectionString: string) {
  const log = await openPostgresEventLog({ connectionString })
  closers.push(() => log.close())
  return log
}

async function open(from: string, to: string) {
  const source = await openPostgresSource(from)
  closers.push(() => source.end())
  const target = await openPostgresTarget(to)
  closers.push(() => target.end())
  return { source, target }
}

/** A log of `streams` streams that take turns, with odd bytes in their events. */
async function filledLog(streams: number, rounds: number) {
  const made = await createLogDatabase()
  closers.push(() => made.drop())
  const log = await openPostgresEventLog({ connectionString: made.connectionString })
  const names = Array.from({ length: streams }, (_, n) => `operation-${n}-${randomUUID()}`)
  for (let round = 0; round < rounds; round += 1) {
    await log.append(
      names.map((stream, n) => ({
        stream,
        expectedRevision: round === 0 ? ('noStream' as const) : BigInt(round - 1),
        events: [newEvent({ data: `{ "b":1, "a" : "ü${n}\\u0000", "n": 1.50 }`, metadata: `{"round":${round}}` })],
      })),
    )
  }
  return { connectionString: made.connectionString, log, events: await everything(log) }
}

async function everything(log: EventLog): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = []
  for (;;) {
    const page = await log.readAll({ after: events.at(-1)?.position ?? 0n, maxCount: 1_000 })
    if (page.length === 0) return events
    events.push(...page)
  }
}

const withoutPosition = (event: RecordedEvent) => ({ ...event, position: null })
const ignore = () => undefined

/** The target, with some of its methods replaced. */
function altered(target: CopyTarget, methods: Partial<CopyTarget>): CopyTarget {
  return {
    log: target.log,
    begin: (id) => target.begin(id),
    last: () => target.last(),
    add: (events) => target.add(events),
    finish: () => target.finish(),
    end: () => target.end(),
    ...methods,
  }
}

function failingAfter(target: CopyTarget, calls: number): CopyTarget {
  let left = calls
  const add: CopyTarget['add'] = (events) => {
    left -= 1
    return left < 0 ? Promise.reject(new Error('cut')) : target.add(events)
  }
  return altered(target, { add })
}

async function eventStore(): Promise<string> {
  const standIn = await startStandIn()
  closers.push(() => standIn.close())
  return standIn.connectionString
}

describe('copying a log', () => {
  it('keeps order, ids, revisions and bytes, under a new log id, and opens the copy', async () => {
    const { connectionString, log, events } = await filledLog(40, 30)
    await log.close()
    const to = await database()
    const { source, target } = await open(connectionString, to)
    const shares: number[] = []
    const copied = await copyLog(source, target, ({ share }) => shares.push(share))
    expect(copied).toEqual({
      sourceLogId: log.logId,
      logId: target.log.logId,
      events: 1_200,
      resumedAfter: 0,
    })
    expect(copied.logId).not.toBe(log.logId)
    expect(shares.at(-1)).toBe(1)
    const copy = await openLog(to)
    expect((await everything(copy)).map(withoutPosition)).toEqual(events.map(withoutPosition))
    const [last] = events.slice(-1)
    expect(
      await copy.append([
        { stream: last?.stream ?? '', expectedRevision: 29n, events: [newEvent()] },
        newStream(),
        { stream: events[0]?.stream ?? '', expectedRevision: 28n, events: [newEvent()] },
      ]),
    ).toMatchObject([{ kind: 'appended', position: 1_201n }, { kind: 'appended' }, { kind: 'conflict' }])
  })

  it('closes the source under the feet of its nodes, which go on reading', async () => {
    const { connectionString, log, events } = await filledLog(2, 2)
    const { source, target } = await open(connectionString, await database())
    await copyLog(source, target, ignore)
    expect(await log.append([newStream(), newStream()])).toEqual([{ kind: 'unavailable' }, { kind: 'unavailable' }])
    expect(await everything(log)).toEqual(events)
    await log.close()
    await expect(openPostgresEventLog({ connectionString })).rejects.toThrow('This log was closed')
  })

  it('takes the source back when the copy is given up', async () => {
    const { connectionString, log } = await filledLog(2, 2)
    const { source, target } = await open(connectionString, await database())
    await copyLog(source, target, ignore)
    await source.reopen()
    expect(await log.append([newStream()])).toMatchObject([{ kind: 'appended', position: 5n }])
    await log.close()
  })

  it('goes on where an earlier run was cut off, and no service opens what is unfinished', async () => {
    const { connectionString, log, events } = await filledLog(30, 50)
    await log.close()
    const to = await database()
    const { source, target } = await open(connectionString, to)
    await expect(copyLog(source, failingAfter(target, 2), ignore)).rejects.toThrow('cut')
    await expect(openPostgresEventLog({ connectionString: to })).rejects.toThrow('unfinished copy')
    expect(await target.log.append([newStream()])).toEqual([{ kind: 'unavailable' }])
    await source.end()
    await target.end()
    closers.splice(-2)
    const again = await open(connectionString, to)
    expect(await copyLog(again.source, again.target, ignore)).toMatchObject({ events: 1_500, resumedAfter: 1_000 })
    const copy = await openLog(to)
    expect((await everything(copy)).map(withoutPosition)).toEqual(events.map(withoutPosition))
  })

  it.each([
    ['data', `UPDATE waybill_log.events SET data = '{"a":1 }' WHERE position = 7`, 'Event 7, .*: data differs'],
    ['revision', `UPDATE waybill_log.events SET revision = 99 WHERE position = 9`, 'Event 9, .*: revision differs'],
    ['an event that is missing', `DELETE FROM waybill_log.events WHERE position = 8`, 'Event 8, .* differs'],
  ])('finds a difference: %s', async (_name, damage, message) => {
    const { connectionString, log } = await filledLog(3, 4)
    await log.close()
    const to = await createLogDatabase()
    closers.push(() => to.drop())
    const { source, target } = await open(connectionString, to.connectionString)
    const damaged = altered(target, {
      async add(events) {
        await target.add(events)
        await to.owner.query(
          `SET session_replication_role = replica; ALTER TABLE waybill_log.events DISABLE TRIGGER USER`,
        )
        await to.owner.query(damage)
      },
    })
    await expect(copyLog(source, damaged, ignore)).rejects.toThrow(new RegExp(message))
    await expect(openPostgresEventLog({ connectionString: to.connectionString })).rejects.toThrow('unfinished copy')
  })

  it('refuses a target that holds something, another copy, or itself', async () => {
    const one = await filledLog(2, 2)
    const other = await filledLog(2, 2)
    await one.log.close()
    await other.log.close()
    const { source, target } = await open(one.connectionString, other.connectionString)
    await expect(copyLog(source, target, ignore)).rejects.toThrow('The target is not empty')
    expect(await isOpen(one.connectionString)).toBe(true)
    const empty = await database()
    const half = await open(one.connectionString, empty)
    await half.target.begin(randomUUID())
    await expect(copyLog(half.source, half.target, ignore)).rejects.toThrow('unfinished copy of another log')
    const itself = await open(one.connectionString, one.connectionString)
    await expect(copyLog(itself.source, itself.target, ignore)).rejects.toThrow('The target is not empty')
    await expect(openPostgresSource(await database())).rejects.toThrow('holds no log')
  })

  it('goes to EventStoreDB and back', async () => {
    const { connectionString, log, events } = await filledLog(12, 10)
    await log.close()
    const store = await eventStore()
    const source = await openPostgresSource(connectionString)
    closers.push(() => source.end())
    const there = await openEventStoreTarget(store)
    closers.push(() => there.end())
    await expect(copyLog(source, failingAfter(there, 0), ignore)).rejects.toThrow('cut')
    await expect(openEventStoreLog({ connectionString: store })).rejects.toThrow('unfinished copy')
    const copied = await copyLog(source, there, ignore)
    expect(copied).toMatchObject({ events: 120, resumedAfter: 0 })
    const copy = await openEventStoreLog({ connectionString: store })
    expect([copy.logId, (await everything(copy)).map(withoutPosition)]).toEqual([
      copied.logId,
      events.map(withoutPosition),
    ])
    const stream = events[0]?.stream ?? ''
    expect(await copy.append([{ stream, expectedRevision: 9n, events: [newEvent()] }])).toMatchObject([
      { kind: 'appended', revision: 10n },
    ])

    const from = await openEventStoreSource(store)
    closers.push(() => from.end())
    const back = await openPostgresTarget(await database())
    closers.push(() => back.end())
    // A node that was not stopped: nothing can keep it from appending.
    const meddled = altered(back, {
      async add(page) {
        await copy.append([newStream()])
        await back.add(page)
      },
    })
    await expect(copyLog(from, meddled, ignore)).rejects.toThrow('Something was appended to the source')
    const all = await everything(copy)
    await copy.close()
    await expect(openEventStoreLog({ connectionString: store })).rejects.toThrow('This log was closed')
    expect(await copyLog(from, back, ignore)).toMatchObject({ events: all.length })
    expect((await everything(back.log)).map(withoutPosition)).toEqual(all.map(withoutPosition))
    await from.reopen()
    await (await openEventStoreLog({ connectionString: store })).close()
  })

  it('says so when the source was opened again meanwhile', async () => {
    const { connectionString, log } = await filledLog(2, 2)
    await log.close()
    const { source, target } = await open(connectionString, await database())
    const reopened: CopySource = {
      log: source.log,
      close: () => source.close(),
      reopen: () => source.reopen(),
      async checkUnmoved(end) {
        await source.reopen()
        await source.checkUnmoved(end)
      },
      end: () => source.end(),
    }
    await expect(copyLog(reopened, target, ignore)).rejects.toThrow('opened again')
  })
})

async function isOpen(connectionString: string): Promise<boolean> {
  const log = await openPostgresEventLog({ connectionString })
  const [outcome] = await log.append([newStream()])
  await log.close()
  return outcome?.kind === 'appended'
}
