import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { EventLog } from '../../src/eventlog/eventLog.ts'
import { openPostgresEventLog } from '../../src/eventlog/postgres/postgresEventLog.ts'
import { createFaultyNetwork, type FaultyNetwork } from './faultyNetwork.ts'
import { createLogDatabase, type LogDatabase, newEvent, newStream, until } from './logDatabase.ts'

// An append waits for the head's lock on the server when its connection is lost (correctness.md row 4).
describe('an append whose answer is lost', () => {
  let database: LogDatabase
  let network: FaultyNetwork
  let log: EventLog
  /** What is waited for comes to an end long before them. */
  const patient = { lockTimeoutMs: 60_000, statementTimeoutMs: 70_000, deadlineMs: 80_000 }
  /** They are met, and no sooner than a busy machine has come to where the test wants it. */
  const bounds = { lockTimeoutMs: 2_000, statementTimeoutMs: 2_200, deadlineMs: 2_500 }

  beforeAll(async () => {
    database = await createLogDatabase()
  })
  afterAll(() => database.drop())
  beforeEach(async () => {
    network = await createFaultyNetwork(database.connectionString)
    log = await openPostgresEventLog({ connectionString: network.connectionString, ...patient })
  })
  afterEach(async () => {
    await log.close()
    await network.close()
  })

  async function reopen(): Promise<void> {
    await log.close()
    log = await openPostgresEventLog({ connectionString: network.connectionString, ...bounds })
  }

  const exists = async (stream: string) => (await log.readStream(stream, { maxCount: 1 })).length > 0
  const waitsForHead = async () => {
    const { rows } = await database.owner.query(
      `SELECT FROM pg_stat_activity WHERE datname = $1 AND application_name = 'waybill append' AND wait_event_type = 'Lock'`,
      [database.name],
    )
    return rows.length > 0
  }
  const sessionsOfWriters = async () => (await database.writerPids()).length

  it('is said to be not appended once its session has ended on the server, and does not land later', async () => {
    const head = await database.holdHead()
    const request = newStream()
    const outcome = log.append([request])
    await until(waitsForHead, 'the append waits for the head')
    network.cut()
    expect(await outcome).toEqual([{ kind: 'unavailable' }])
    await head.release('COMMIT')
    expect(await log.append([newStream()])).toMatchObject([{ kind: 'appended' }])
    expect(await exists(request.stream)).toBe(false)
  })

  it('is said to be not appended when its session was terminated', async () => {
    const head = await database.holdHead()
    const request = newStream()
    const outcome = log.append([request])
    await until(waitsForHead, 'the append waits for the head')
    await database.owner.query('SELECT pg_terminate_backend($1)', [(await database.writerPids())[0]])
    expect(await outcome).toEqual([{ kind: 'unavailable' }])
    await head.release('COMMIT')
    expect(await exists(request.stream)).toBe(false)
  })

  it('is found when it lands after the client is gone', async () => {
    const there = newStream()
    await log.append([there])
    const head = await database.holdHead()
    const requests = [newStream(), newStream(), { ...there, events: [newEvent()] }]
    const chained = { ...requests[0]!, expectedRevision: 0n, events: [newEvent(), newEvent()] }
    const check = { ...requests[0]!, expectedRevision: 2n, events: [] }
    const outcome = log.append([...requests, chained, check])
    await until(waitsForHead, 'the append waits for the head')
    network.loseClients()
    await head.release('COMMIT')
    const outcomes = await outcome
    expect(outcomes).toMatchObject([
      { kind: 'appended', revision: 0n },
      { kind: 'appended', revision: 0n },
      // It conflicted; all that is known, and all its caller needs, is that it is not there and will not be.
      { kind: 'unavailable' },
      { kind: 'appended', revision: 2n },
      { kind: 'appended', revision: 2n },
    ])
    const events = await log.readStream(requests[0]!.stream, { maxCount: 10 })
    const positions = outcomes.map((said) => (said.kind === 'appended' ? said.position : null))
    expect([positions[0], positions[3], positions[4]]).toEqual([0, 2, 2].map((index) => events[index]?.position))
  })

  it('is unknown, but only when nothing can land any more, where the server cannot be asked', async () => {
    await reopen()
    const head = await database.holdHead()
    const [first, second] = [newStream(), newStream()]
    const outcomes = Promise.all([log.append([first]), log.append([second])])
    await until(waitsForHead, 'the append waits for the head')
    network.refuse()
    network.loseClients()
    const lostMs = performance.now()
    expect(await outcomes).toEqual([[{ kind: 'unknown' }], [{ kind: 'unknown' }]])
    expect(performance.now() - lostMs).toBeGreaterThan(2 * bounds.statementTimeoutMs)
    await head.release('COMMIT')
    network.accept()
    await until(async () => (await log.append([newStream()]))[0]?.kind === 'appended', 'appends work again')
    expect(await exists(first.stream)).toBe(false)
    expect(await exists(second.stream)).toBe(false)
  })

  it('is unknown where the server keeps the session and the lock was not to be had', async () => {
    await reopen()
    const head = await database.holdHead()
    const request = newStream()
    const outcome = log.append([request])
    await until(waitsForHead, 'the append waits for the head')
    network.loseClients()
    expect(await outcome).toEqual([{ kind: 'unknown' }])
    await head.release('COMMIT')
    expect(await exists(request.stream)).toBe(false)
  })

  it('is not taken for appended when another node has appended the same command meanwhile', async () => {
    const head = await database.holdHead()
    const request = newStream()
    const outcome = log.append([request])
    await until(waitsForHead, 'the append waits for the head')
    network.refuse()
    network.cut()
    await until(async () => (await sessionsOfWriters()) === 0, 'the server has ended the session')
    await head.release('COMMIT')
    // Its caller sent it again, there: the same ids at the same revision, but recorded at another time.
    const events = request.events.map((event) => ({ ...event, metadata: '{"recordedAt":"later"}' }))
    const other = await openPostgresEventLog({ connectionString: database.connectionString })
    expect(await other.append([{ ...request, events }])).toMatchObject([{ kind: 'appended' }])
    await other.close()
    network.accept()
    expect(await outcome).toEqual([{ kind: 'unavailable' }])
  })

  it('is looked for when the server falls silent beyond the deadline', async () => {
    await reopen()
    const request = newStream()
    network.stall()
    const startMs = performance.now()
    const [outcome] = await log.append([request])
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(bounds.deadlineMs - 50)
    expect(['unavailable', 'unknown']).toContain(outcome?.kind)
    expect(await exists(request.stream)).toBe(false)
    expect(await log.append([newStream()])).toMatchObject([{ kind: 'appended' }])
  })

  it('does not keep the log from closing when the server falls silent', async () => {
    await log.readAll({ after: 0n, maxCount: 1 })
    await log.append([newStream()])
    network.stall()
    // It would wait for ever.
    await log.close()
  })

  it('leaves no session behind that could append', async () => {
    await log.append([newStream()])
    network.cut()
    await until(async () => (await log.append([newStream()]))[0]?.kind === 'appended', 'appends work again')
    await until(async () => (await sessionsOfWriters()) === 1, 'one session appends')
  })
})
