import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AnotherLogError, LogUnavailableError, type RecordedEvent } from '../../../src/eventlog/eventLog.ts'
import {
  type EventStoreLog,
  type EventStoreLogOptions,
  openEventStoreLog,
} from '../../../src/eventlog/eventstoredb/eventStoreLog.ts'
import { patienceMs } from '../../support/patience.ts'
import { createFaultyNetwork, type FaultyNetwork } from '../faultyNetwork.ts'
import { until } from '../logDatabase.ts'
import { type StandIn, type SubscriptionOrder, startStandIn } from './standIn.ts'
import { followFor, hasty, newEvent, newStream, patient, written } from './support.ts'

let standIn: StandIn
let network: FaultyNetwork
let log: EventStoreLog
const told: AnotherLogError[] = []

beforeEach(async () => {
  told.length = 0
  standIn = await startStandIn()
  network = await createFaultyNetwork(standIn.connectionString)
  log = await open(patient)
})
afterEach(async () => {
  for (const other of others.splice(0)) await other.close()
  await log.close()
  await network.close()
  await standIn.close()
})

const others: EventStoreLog[] = []

function open(bounds: Partial<EventStoreLogOptions>): Promise<EventStoreLog> {
  const onAnotherLog = (error: AnotherLogError) => told.push(error)
  return openEventStoreLog({ connectionString: network.connectionString, ...bounds, onAnotherLog })
}

/** Another one of the same server, under bounds that are met. */
async function openHasty(bounds: Partial<EventStoreLogOptions>): Promise<EventStoreLog> {
  const other = await open({ ...patient, ...bounds })
  others.push(other)
  return other
}

/** Positions of events appended one by one, with what the server writes for itself between them. */
async function history(count: number, systemEvents: number): Promise<bigint[]> {
  const positions: bigint[] = []
  for (let index = 0; index < count; index += 1) {
    const [outcome] = await log.append([newStream()])
    if (outcome?.kind !== 'appended') throw new Error(`an event of the history is ${outcome?.kind}`)
    positions.push(outcome.position)
    standIn.store.writeSystemEvents(systemEvents)
  }
  return positions
}

const positionsOf = (events: readonly RecordedEvent[]) => events.map(({ position }) => position)

describe('a subscription to EventStoreDB that is lost', () => {
  const order = (...orders: SubscriptionOrder[]) => {
    standIn.orders.subscription = () => orders.shift() ?? null
  }

  describe.each(['end', 'error', 'silence'] as const)('by %s', (how) => {
    it('goes on in the middle of a catch-up', async () => {
      const positions = await history(40, 0)
      // The first event of all is the identity.
      order({ afterEvents: 1 + 7, how }, { afterEvents: 5, how })
      expect(positionsOf(await followFor(log, 0n, 40, 3))).toEqual(positions)
      // On a machine that is slow, one that only was quiet may have been given up as well.
      expect(standIn.subscribedFrom.slice(0, 2)).toEqual(['start', positions[6]])
      expect(standIn.subscribedFrom.at(-1)).toBe(positions[11])
    })

    it('goes on in its live phase', async () => {
      const before = await history(2, 0)
      order({ afterEvents: 4, how })
      const followed = followFor(log, 0n, 8)
      await until(() => standIn.subscribedFrom.length === 1, 'it follows')
      const after = await history(6, 0)
      expect(positionsOf(await followed)).toEqual([...before, ...after])
    })

    it('goes on behind a filter', async () => {
      const positions = await history(6, 50)
      order({ afterEvents: 3, how })
      expect(positionsOf(await followFor(log, 0n, 6, 1))).toEqual(positions)
    })
  })

  it.each(['cut', 'stall'] as const)('by a network that does %s goes on', async (does) => {
    const before = await history(3, 0)
    const followed = followFor(log, 0n, 6)
    await until(() => standIn.subscribedFrom.length === 1, 'it follows')
    network[does]()
    const after = await history(3, 0)
    expect(positionsOf(await followed)).toEqual([...before, ...after])
  })

  it('begins again behind what the filter left out', async () => {
    const [last = 0n] = await history(1, 5_000)
    const abort = new AbortController()
    const seen: RecordedEvent[] = []
    const following = (async () => {
      for await (const events of log.subscribe({ after: 0n, maxCount: 10, signal: abort.signal })) seen.push(...events)
    })()
    await until(() => seen.length === 1, 'it has the first')
    await until(() => (standIn.checkpoints.at(-1) ?? 0n) > last, 'it is told how far the server has looked')
    // On the same connection, so what was sent before has arrived.
    await log.head()
    network.cut()
    await until(() => standIn.subscribedFrom.length > 1, 'it begins again')
    expect(standIn.subscribedFrom.at(-1)).toBeGreaterThan(last)
    const [next] = await history(1, 0)
    await until(() => seen.length === 2, 'it has the second')
    expect(seen.at(-1)?.position).toBe(next)
    abort.abort()
    await following
  })

  it('begins again at what was handled, not at what had arrived', async () => {
    const positions = await history(20, 200)
    order({ afterEvents: 15, how: 'error' })
    const seen: bigint[] = []
    for await (const events of log.subscribe({ after: 0n, maxCount: 4, signal: AbortSignal.timeout(patienceMs) })) {
      seen.push(...positionsOf(events))
      // The server is far ahead of what is handed out here.
      if (seen.length < 4) await new Promise((resolve) => setTimeout(resolve, 50))
      if (seen.length === 20) break
    }
    expect(seen).toEqual(positions)
  })

  it('does not fill the memory of a reader that is slow', async () => {
    const data = `"${'x'.repeat(100_000)}"`
    const count = 400
    for (let appended = 0; appended < count; appended += 40) {
      await log.append(Array.from({ length: 40 }, () => ({ ...newStream(), events: [{ ...newEvent(), data }] })))
    }
    let seen = 0
    for await (const events of log.subscribe({ after: 0n, maxCount: 10, signal: AbortSignal.timeout(patienceMs) })) {
      seen += events.length
      if (seen <= 10) {
        let sent = -1
        await until(async () => {
          const before = sent
          sent = standIn.sent()
          await new Promise((resolve) => setTimeout(resolve, 200))
          return sent === before
        }, 'the server is not listened to any more')
        // 16 MB may wait, and something is on the way.
        expect(sent).toBeGreaterThan(10)
        expect(sent).toBeLessThan(0.75 * count)
      }
      if (seen === count) break
    }
    expect(seen).toBe(count)
  })
})

describe('a read of EventStoreDB', () => {
  it('says that the log is unavailable when the server is silent', async () => {
    const impatient = await openHasty({ readTimeoutMs: hasty.readTimeoutMs })
    standIn.orders.readsAreSilent = true
    await expect(impatient.head()).rejects.toThrow(LogUnavailableError)
    await expect(impatient.readStream('a', { maxCount: 1 })).rejects.toThrow(LogUnavailableError)
    standIn.orders.readsAreSilent = false
    expect(await log.head()).toBe(0n)
  })

  it('says so when there is none, and works when it is back', async () => {
    const impatient = await openHasty({ readTimeoutMs: hasty.readTimeoutMs })
    standIn.kill()
    await expect(impatient.head()).rejects.toThrow(LogUnavailableError)
    await standIn.revive()
    await until(
      () =>
        impatient.head().then(
          () => true,
          () => false,
        ),
      'it can be read',
    )
  })

  it('counts neither what the server writes for itself nor the identity', async () => {
    standIn.store.writeSystemEvents(10)
    expect(await log.head()).toBe(0n)
    expect(await log.readAll({ after: 0n, maxCount: 10 })).toEqual([])
    const [position] = await history(1, 10)
    expect(await log.head()).toBe(position)
    expect(await log.readAll({ after: 0n, maxCount: 10 })).toMatchObject([{ position }])
  })
})

describe('the identity of a log in EventStoreDB', () => {
  it('is made once, whoever comes first', async () => {
    const nodes = await Promise.all(
      [0, 1, 2].map(() => openEventStoreLog({ connectionString: standIn.connectionString })),
    )
    expect(new Set([log, ...nodes].map(({ logId }) => logId)).size).toBe(1)
    for (const node of nodes) await node.close()
  })

  it('is compared at each connection: nothing of another log is served', async () => {
    await history(1, 0)
    const abort = new AbortController()
    const following = followFor(log, 0n, 100)
    const rejected = expect(following).rejects.toThrow(AnotherLogError)
    standIn.store.forgetAfter(0n)
    const other = await openEventStoreLog({ connectionString: standIn.connectionString, ...patient })
    network.cut()
    await until(
      async () => (await log.append([newStream()]))[0]?.kind === 'unavailable' && told.length > 0,
      'it is told',
    )
    await expect(log.head()).rejects.toThrow(AnotherLogError)
    await rejected
    expect(told).toHaveLength(1)
    abort.abort()
    await other.close()
  })

  /** Waits no longer for what is missing than must be. */
  async function reopenHasty(): Promise<void> {
    await log.close()
    log = await open({ ...patient, missingMsMax: hasty.missingMsMax })
  }

  it('a log that ends before what was acknowledged is another one', async () => {
    await reopenHasty()
    const positions = await history(3, 0)
    standIn.store.forgetAfter(positions[1] ?? 0n)
    network.cut()
    await until(async () => {
      await log.append([newStream()])
      return told.length > 0
    }, 'it is found out')
    expect(told[0]?.message).toContain('events are lost')
  })

  it('a node that has not caught up with what was acknowledged is waited for', async () => {
    const positions = await history(3, 0)
    const rest = standIn.store.all.slice(-1)
    const streams = new Map(standIn.store.streams)
    standIn.store.forgetAfter(positions[1] ?? 0n)
    network.cut()
    const appended = log.append([newStream()])
    await new Promise((resolve) => setTimeout(resolve, hasty.missingMsMax / 2))
    standIn.store.all.push(...rest)
    for (const [name, events] of streams) standIn.store.streams.set(name, events)
    expect(await appended).toMatchObject([written])
    expect(told).toEqual([])
  })

  it('is doubted when somebody remembers a position that the log does not reach', async () => {
    await reopenHasty()
    const [position = 0n] = await history(1, 0)
    log.saw(position)
    expect(await log.head()).toBe(position)
    log.saw(position + 1_000n)
    await until(() => told.length === 1, 'it is told')
    await expect(log.head()).rejects.toThrow(AnotherLogError)
  })
})
