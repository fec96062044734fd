import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { appendBytesMax, type EventLog } from '../../../src/eventlog/eventLog.ts'
import { type EventStoreLog, openEventStoreLog } from '../../../src/eventlog/eventstoredb/eventStoreLog.ts'
import { createFaultyNetwork, type FaultyNetwork } from '../faultyNetwork.ts'
import { until } from '../logDatabase.ts'
import { type AppendOrder, type StandIn, startStandIn } from './standIn.ts'
import { hasty, idsOf, newEvent, newStream, patient, written } from './support.ts'

describe('an append to EventStoreDB', () => {
  let standIn: StandIn
  let network: FaultyNetwork
  let log: EventStoreLog
  const others: EventStoreLog[] = []

  beforeEach(async () => {
    standIn = await startStandIn()
    network = await createFaultyNetwork(standIn.connectionString)
    log = await openEventStoreLog({ connectionString: network.connectionString, ...patient })
  })
  afterEach(async () => {
    for (const other of others.splice(0)) await other.close()
    await log.close()
    await network.close()
    await standIn.close()
  })

  /** Another one of the same server, under bounds that are met. */
  async function openHasty(): Promise<EventStoreLog> {
    const other = await openEventStoreLog({ connectionString: network.connectionString, ...patient, ...hasty })
    others.push(other)
    return other
  }

  /** Orders for the first appends; the later ones go as they should. */
  const order = (...orders: AppendOrder[]) => {
    standIn.orders.append = () => orders.shift() ?? null
  }
  const attempts = (stream: string) => standIn.appendsSeen.filter((append) => append.stream === stream).length

  describe.each([
    ['was written', 'now'],
    ['was not written', 'never'],
  ] as const)('that %s', (_, write) => {
    it.each(['nothing', 'end', 'error', 'timeout'] as const)(
      'and got %s for an answer is appended once',
      async (say) => {
        order({ write, say })
        const request = newStream(2)
        expect(await log.append([request])).toMatchObject([{ kind: 'appended', revision: 1n }])
        expect(attempts(request.stream)).toBe(2)
        expect(await idsOf(log, request.stream)).toEqual(request.events.map(({ id }) => id))
        expect(await log.append([{ ...request, expectedRevision: 1n, events: [newEvent()] }])).toMatchObject([
          { kind: 'appended', revision: 2n },
        ])
      },
    )
  })

  it.each(['cut', 'stall', 'loseClients'] as const)('is appended once over a network that does %s', async (does) => {
    order({ write: 'now', say: 'nothing' })
    const request = newStream()
    const appended = log.append([request])
    await until(() => attempts(request.stream) === 1, 'it was sent')
    network[does]()
    expect(await appended).toMatchObject([written])
    expect(await idsOf(log, request.stream)).toEqual([request.events[0]?.id])
  })

  it('is refused at once, as too large, where one event is over the limit that the server was given', async () => {
    standIn.store.maxAppendEventSize = 200_000
    const request = newStream()
    const [event] = request.events
    if (event === undefined) throw new Error('There is an event')
    const large = { ...event, data: JSON.stringify('x'.repeat(300_000)) }
    expect(await log.append([{ ...request, events: [large] }])).toEqual([{ kind: 'rejected', reason: 'too_large' }])
    expect(attempts(request.stream)).toBe(1)
  })

  it('keeps the links of its chain that the limit of one event lets pass', async () => {
    standIn.store.maxAppendEventSize = 200_000
    const request = newStream()
    const large = { ...newEvent(), data: JSON.stringify('x'.repeat(300_000)) }
    const outcomes = await log.append([request, { ...request, expectedRevision: 0n, events: [large] }])
    expect(outcomes).toMatchObject([written, { kind: 'rejected', reason: 'too_large' }])
  })

  it('that meets an error nobody knows is unknown at once, and the log names the error', async () => {
    const lines: unknown[] = []
    const ignore = () => undefined
    const logger = { info: ignore, warn: ignore, error: (fields: object) => void lines.push(fields) }
    const told = await openEventStoreLog({ connectionString: network.connectionString, ...patient, logger })
    others.push(told)
    standIn.orders.append = () => ({ write: 'never', say: 'unheard_of' })
    const request = newStream()
    expect(await told.append([request])).toEqual([{ kind: 'unknown' }])
    expect(attempts(request.stream)).toBe(1)
    expect(lines).toEqual([{ type: 'event_store.client.SomethingNew', reason: 'Something new' }])
  })

  it('is unknown when no answer comes until its deadline, and a retry finds what became of it', async () => {
    const impatient = await openHasty()
    standIn.orders.append = () => ({ write: 'now', say: 'nothing' })
    const request = newStream()
    expect(await impatient.append([request])).toEqual([{ kind: 'unknown' }])
    standIn.orders.append = null
    expect(await idsOf(log, request.stream)).toEqual([request.events[0]?.id])
    // Decided anew: the same ids, and what another recorded.
    const again = { ...request, events: request.events.map((event) => ({ ...event, data: '{"again":true}' })) }
    expect(await log.append([again])).toEqual([{ kind: 'conflict', actualRevision: 0n }])
  })

  it('that lands after it was said to be unknown takes the place of its retry, or is refused by it', async () => {
    const impatient = await openHasty()
    for (const lateFirst of [true, false]) {
      let land: () => void = () => undefined
      const late = new Promise<void>((resolve) => {
        land = resolve
      })
      standIn.orders.append = () => ({ write: { late }, say: 'nothing' })
      const request = newStream()
      expect(await impatient.append([request])).toEqual([{ kind: 'unknown' }])
      standIn.orders.append = null
      const retry = { ...request, events: request.events.map((event) => ({ ...event, data: '{"retry":true}' })) }
      if (lateFirst) {
        land()
        await until(() => standIn.store.streams.has(request.stream), 'it has landed')
        expect(await log.append([retry])).toEqual([{ kind: 'conflict', actualRevision: 0n }])
      } else {
        expect(await log.append([retry])).toMatchObject([written])
        land()
        await new Promise((resolve) => setImmediate(resolve))
      }
      const [event, ...more] = await log.readStream(request.stream, { maxCount: 10 })
      expect(event?.data).toBe(lateFirst ? '{"value":1}' : '{"retry":true}')
      expect(more).toEqual([])
    }
  })

  it('is not taken for the append of another node with the same ids', async () => {
    const other = await openEventStoreLog({ connectionString: standIn.connectionString, ...patient })
    const request = newStream()
    const theirs = { ...request, events: request.events.map((event) => ({ ...event, data: '{"theirs":true}' })) }
    expect(await other.append([theirs])).toMatchObject([written])
    expect(await log.append([request])).toEqual([{ kind: 'conflict', actualRevision: 0n }])
    // Not even with the same bytes: only one of them may say that it wrote it.
    expect(await log.append([theirs])).toEqual([{ kind: 'conflict', actualRevision: 0n }])
    await other.close()
  })

  it('waits for a server that is not ready', async () => {
    order({ write: 'never', say: 'not_ready' }, { write: 'never', say: 'not_ready' })
    expect(await log.append([newStream()])).toMatchObject([written])
  })

  it('is unavailable, and not unknown, when there is no server to send it to', async () => {
    // Its deadline is not to be waited for: it is longer than a test may take.
    const bounds = { ...patient, patienceMs: hasty.patienceMs, deadlineMs: 3_600_000 }
    const impatient = await openEventStoreLog({ connectionString: network.connectionString, ...bounds })
    others.push(impatient)
    network.refuse()
    network.cut()
    expect(await impatient.append([newStream()])).toEqual([{ kind: 'unavailable' }])
    network.accept()
    await until(async () => (await impatient.append([newStream()]))[0]?.kind === 'appended', 'it takes appends again')
  })

  it('waits for a server that comes back soon', async () => {
    expect(await log.append([newStream()])).toMatchObject([written])
    standIn.kill()
    const appended = log.append([newStream()])
    await standIn.revive()
    expect(await appended).toMatchObject([written])
  })

  it('does not fail with that of another log in the process', async () => {
    const silentOne = await startStandIn()
    silentOne.orders.append = ({ stream }) => (stream === 'waybill-log' ? null : { write: 'never', say: 'nothing' })
    const other = await openEventStoreLog({ connectionString: silentOne.connectionString, ...patient, ...hasty })
    let isLost = false
    const lost = other.append([newStream()]).finally(() => {
      isLost = true
    })
    let acknowledged = 0
    const working = (async () => {
      for (; !isLost || acknowledged < 20; acknowledged += 1) {
        expect(await log.append([newStream()])).toMatchObject([written])
      }
    })()
    await until(() => silentOne.appendsSeen.length > 1, 'the other one waits')
    silentOne.kill()
    await working
    expect(await lost).toEqual([{ kind: 'unknown' }])
    await other.close()
    await silentOne.close()
  })

  it('is one of so many under way at most, and one of its stream', async () => {
    let goOn: () => void = () => undefined
    const after = new Promise<void>((resolve) => {
      goOn = resolve
    })
    standIn.orders.append = () => ({ after, write: 'now', say: 'answer' })
    const roomy = await openEventStoreLog({
      connectionString: standIn.connectionString,
      ...patient,
      silenceMs: patient.deadlineMs,
    })
    const filling = `"${'x'.repeat(appendBytesMax / 2)}"`
    const long = newStream()
    const chain = [0, 1, 2].map((link) => ({
      stream: long.stream,
      expectedRevision: link === 0 ? ('noStream' as const) : BigInt(link - 1),
      events: [{ ...newEvent(), data: filling }],
    }))
    const seenBefore = standIn.appendsSeen.length
    const appended = roomy.append([...chain, ...Array.from({ length: 200 }, () => newStream())])
    await until(() => standIn.appendsSeen.length - seenBefore >= 64, 'the line is full')
    // What would come now was sent with the others.
    await roomy.head()
    expect(attempts(long.stream)).toBe(1)
    expect(standIn.appendsSeen.length - seenBefore).toBe(64)
    goOn()
    expect((await appended).every(({ kind }) => kind === 'appended')).toBe(true)
    expect(await idsOf(log, long.stream)).toHaveLength(3)
    await roomy.close()
  })

  it('of a chain is one, with each link its own position', async () => {
    const { stream } = newStream()
    const chain = [-1n, 0n, 2n].map((expected, index) => ({
      stream,
      expectedRevision: expected === -1n ? ('noStream' as const) : expected,
      events: Array.from({ length: index === 1 ? 2 : 1 }, newEvent),
    }))
    const outcomes = await log.append(chain)
    const events = await log.readStream(stream, { maxCount: 10 })
    expect(attempts(stream)).toBe(1)
    expect(outcomes).toEqual(
      [0, 2, 3].map((revision) => ({
        kind: 'appended',
        revision: BigInt(revision),
        position: events[revision]?.position,
      })),
    )
  })

  it('that fails takes its chain with it, to be decided again', async () => {
    const request = newStream()
    await log.append([request])
    const outcomes = await log.append([
      { ...request, events: [newEvent()] },
      { ...request, expectedRevision: 0n, events: [newEvent()] },
    ])
    expect(outcomes).toEqual([{ kind: 'conflict', actualRevision: 0n }, { kind: 'untried' }])
  })

  it('carries correlation and causation where the store looks for them', async () => {
    const request = newStream()
    await log.append([request])
    const [stored] = standIn.store.streams.get(request.stream) ?? []
    const metadata: unknown = JSON.parse(Buffer.from(stored?.metadata ?? []).toString())
    expect(metadata).toEqual({ waybillId: request.events[0]?.id, $correlationId: 'a' })
  })

  it('is seen through when the log closes', async () => {
    order({ write: 'now', say: 'end' })
    const appended = log.append([newStream()])
    await log.close()
    expect(await appended).toMatchObject([written])
    expect(await log.append([newStream()])).toEqual([{ kind: 'unavailable' }])
  })
})

describe('a cluster', () => {
  const closers: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })

  async function node(store?: StandIn['store']): Promise<StandIn> {
    const started = await startStandIn(store)
    closers.push(() => started.close())
    return started
  }

  async function open(connectionString: string): Promise<EventLog> {
    const log = await openEventStoreLog({ connectionString, ...patient })
    closers.push(() => log.close())
    return log
  }

  it('tells who leads, and is believed', async () => {
    const follower = await node()
    const leader = await node(follower.store)
    follower.orders.leader = leader
    const log = await open(follower.connectionString)
    const request = newStream()
    expect(await log.append([request])).toMatchObject([written])
    expect(follower.appendsSeen).toEqual([])
    expect(leader.appendsSeen.at(-1)?.stream).toBe(request.stream)
  })

  it.each(['kurrentdb', 'kurrentdb+discover'])('is reached by %s:// as well', async (scheme) => {
    const leader = await node()
    const log = await open(leader.connectionString.replace('esdb', scheme))
    expect(await log.append([newStream()])).toMatchObject([written])
  })

  it('is found by a list of nodes some of which are dead, in the list and in the gossip', async () => {
    const dead = await node()
    const leader = await node()
    dead.kill()
    const members = () => [
      { host: dead.host, port: dead.port, isLeader: false, isAlive: false },
      { host: leader.host, port: leader.port, isLeader: true, isAlive: true },
    ]
    leader.orders.members = members
    const log = await open(`esdb://${dead.host}:${dead.port},${leader.host}:${leader.port}?tls=false`)
    expect(await log.append([newStream()])).toMatchObject([written])
  })

  it('that loses its leader goes on with the next one, and has all that was acknowledged', async () => {
    const old = await node()
    const next = await node(old.store)
    let led: StandIn = old
    const members = () =>
      [old, next].map((each) => ({ host: each.host, port: each.port, isLeader: each === led, isAlive: true }))
    old.orders.members = members
    next.orders.members = members
    next.orders.leader = old
    const log = await open(`esdb://${old.host}:${old.port},${next.host}:${next.port}?tls=false`)
    const acknowledged: string[] = []
    const unclear: string[] = []
    const writers = Array.from({ length: 8 }, async () => {
      for (let turn = 0; turn < 40; turn += 1) {
        const request = newStream()
        const [outcome] = await log.append([request])
        if (outcome?.kind === 'appended') acknowledged.push(request.stream)
        else unclear.push(request.stream)
      }
    })
    await until(() => acknowledged.length > 50, 'it is under way')
    old.kill()
    led = next
    next.orders.leader = null
    await Promise.all(writers)
    expect(unclear).toEqual([])
    expect(acknowledged).toHaveLength(320)
    for (const stream of acknowledged) expect(next.store.streams.get(stream)).toHaveLength(1)
  })
})
