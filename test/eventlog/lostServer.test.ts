import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type EventLog, LogUnavailableError, type RecordedEvent } from '../../src/eventlog/eventLog.ts'
import { openPostgresEventLog } from '../../src/eventlog/postgres/postgresEventLog.ts'
import { createFaultyNetwork, type FaultyNetwork } from './faultyNetwork.ts'
import { createLogDatabase, type LogDatabase, newStream, until } from './logDatabase.ts'

describe('a log whose server is not to be had', () => {
  let database: LogDatabase
  let network: FaultyNetwork
  let log: EventLog
  const patienceMs = 300
  const warnings: string[] = []

  beforeAll(async () => {
    database = await createLogDatabase()
    network = await createFaultyNetwork(database.connectionString)
    const remember = (_: object, message: string) => warnings.push(message)
    log = await openPostgresEventLog({
      connectionString: network.connectionString,
      patienceMs,
      readConnectionsMax: 1,
      logger: { info: () => undefined, warn: remember, error: remember },
    })
  })
  afterAll(async () => {
    await log.close()
    await network.close()
    await database.drop()
  })

  const works = async () => (await log.append([newStream()]))[0]?.kind === 'appended'

  it('takes appends again after its connection was ended', async () => {
    expect(await works()).toBe(true)
    const [pid] = await database.writerPids()
    await database.owner.query('SELECT pg_terminate_backend($1)', [pid])
    await until(works, 'appends work again')
    expect(await database.writerPids()).not.toContain(pid)
  })

  it('takes appends again after its connection was cut while it was being made', async () => {
    const waiting = async () => {
      const { rowCount } = await database.owner.query(
        `SELECT FROM pg_stat_activity WHERE datname = $1 AND application_name = 'waybill append' AND wait_event_type = 'Lock'`,
        [database.name],
      )
      return rowCount !== 0
    }
    // A new connection looks at the head before it is used.
    const holder = new pg.Client({ connectionString: database.connectionString })
    await holder.connect()
    await holder.query('BEGIN; LOCK TABLE waybill_log.log_head IN ACCESS EXCLUSIVE MODE')
    network.cut()
    await until(waiting, 'the new connection waits')
    network.cut()
    await holder.end()
    await until(works, 'appends work again')
  })

  it('says unavailable: patiently at first, then at once; reads throw; both come back', async () => {
    const abort = new AbortController()
    const seen: RecordedEvent[] = []
    const before = await log.head()
    const following = (async () => {
      for await (const events of log.subscribe({ after: before, maxCount: 10, signal: abort.signal }))
        seen.push(...events)
    })()
    warnings.length = 0
    network.refuse()
    network.cut()
    await until(() => warnings.some((warning) => warning.startsWith('Lost the connection')), 'the loss is noticed')
    expect(await log.append([newStream()])).toEqual([{ kind: 'unavailable' }])
    // At once is before the event loop has looked at the network again, however slow the machine is.
    const atOnce = log.append([newStream(), newStream()])
    const later = new Promise((resolve) => setImmediate(() => setImmediate(resolve, 'later')))
    expect(await Promise.race([atOnce, later])).toEqual([{ kind: 'unavailable' }, { kind: 'unavailable' }])
    await expect(log.head()).rejects.toThrow(LogUnavailableError)
    await expect(log.readStream('a', { maxCount: 1 })).rejects.toThrow(LogUnavailableError)
    await expect(log.readEvent('a', newStream().events[0]!.id)).rejects.toThrow(LogUnavailableError)
    network.accept()
    await until(works, 'appends work again')
    const head = await log.head()
    await until(() => seen.at(-1)?.position === head, 'the subscription has gone on')
    expect(seen.map(({ position }) => position - before)).toEqual(seen.map((_, index) => BigInt(index + 1)))
    abort.abort()
    await following
  })

  it('does not open where there is no server', async () => {
    const closed = await createFaultyNetwork(database.connectionString)
    await closed.close()
    await expect(openPostgresEventLog({ connectionString: closed.connectionString })).rejects.toThrow()
  })

  it('gives up on the head lock in time, keeps its session, and leaves nothing behind', async () => {
    const impatient = await openPostgresEventLog({
      connectionString: database.connectionString,
      lockTimeoutMs: 400,
      statementTimeoutMs: 20_000,
      deadlineMs: 30_000,
    })
    const pids = await database.writerPids()
    const head = await database.holdHead()
    const [first, second] = [newStream(), newStream()]
    expect(await Promise.all([impatient.append([first]), impatient.append([second])])).toEqual([
      [{ kind: 'unavailable' }],
      [{ kind: 'unavailable' }],
    ])
    await head.release('ROLLBACK')
    expect(await impatient.append([first])).toMatchObject([{ kind: 'appended', revision: 0n }])
    expect(new Set(await database.writerPids())).toEqual(new Set(pids))
    await impatient.close()
  })

  it('finishes what is in flight when it is closed, and takes nothing more', async () => {
    const closing = await openPostgresEventLog({ connectionString: database.connectionString })
    const head = await database.holdHead()
    const request = newStream()
    const outcome = closing.append([request])
    const closed = closing.close()
    await head.release('COMMIT')
    await closed
    expect(await outcome).toMatchObject([{ kind: 'appended' }])
    expect(await closing.append([newStream()])).toEqual([{ kind: 'unavailable' }])
    await expect(closing.head()).rejects.toThrow(LogUnavailableError)
    expect(await log.readStream(request.stream, { maxCount: 1 })).toHaveLength(1)
  })
})
