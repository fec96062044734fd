import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AnotherLogError, type EventLog } from '../../src/eventlog/eventLog.ts'
import { openPostgresEventLog } from '../../src/eventlog/postgres/postgresEventLog.ts'
import { createLogDatabase, type LogDatabase, newStream, until } from './logDatabase.ts'

// After a restore, a copy or a fail-over, positions mean other events (correctness.md row 7).
describe('a database that holds another history than before', () => {
  let database: LogDatabase
  let log: EventLog
  let told: AnotherLogError[]

  beforeEach(async () => {
    database = await createLogDatabase()
    told = []
    log = await openPostgresEventLog({
      connectionString: database.connectionString,
      readConnectionsMax: 1,
      onAnotherLog: (error) => told.push(error),
    })
    await log.append([newStream(), newStream()])
    await log.head()
  })
  afterEach(async () => {
    await log.close()
    await database.drop()
  })

  /** Ends the sessions of one kind, so that the next use needs a new connection. */
  async function endSessions(kind: 'append' | 'read'): Promise<void> {
    await database.owner.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND application_name = $2',
      [database.name, `waybill ${kind}`],
    )
  }

  async function expectRefusal(): Promise<void> {
    expect(await log.append([newStream()])).toEqual([{ kind: 'unavailable' }])
    await expect(log.head()).rejects.toThrow(AnotherLogError)
    await expect(log.readAll({ after: 0n, maxCount: 1 })).rejects.toThrow(AnotherLogError)
    await expect(log.readStream('a', { maxCount: 1 })).rejects.toThrow(AnotherLogError)
    await expect(
      log.subscribe({ after: 0n, maxCount: 1, signal: new AbortController().signal })[Symbol.asyncIterator]().next(),
    ).rejects.toThrow(AnotherLogError)
    expect(told).toHaveLength(1)
  }

  it('is not appended to under another log id, not even on the connection that is there', async () => {
    const subscription = log.subscribe({ after: 2n, maxCount: 1, signal: new AbortController().signal })
    const next = subscription[Symbol.asyncIterator]().next()
    const rejected = expect(next).rejects.toThrow(AnotherLogError)
    await database.owner.query('UPDATE waybill_log.log_head SET log_id = gen_random_uuid()')
    expect(await log.append([newStream()])).toEqual([{ kind: 'unavailable' }])
    await rejected
    await expectRefusal()
    expect(told.map(({ message }) => message)).toEqual(['The database holds another log than the one opened'])
  })

  it('is found out by a new connection: another log id', async () => {
    await database.owner.query('UPDATE waybill_log.log_head SET log_id = gen_random_uuid()')
    await endSessions('read')
    await until(
      async () => (await log.head().catch((error: unknown) => error)) instanceof AnotherLogError,
      'it is found out',
    )
    await expectRefusal()
  })

  it('is found out by a new connection: a head below what was acknowledged', async () => {
    await database.owner.query('UPDATE waybill_log.log_head SET position = 1')
    await endSessions('append')
    await until(() => told.length > 0, 'it is found out')
    await expectRefusal()
  })

  it('is found out by a new connection: a head below what was read', async () => {
    const writer = await openPostgresEventLog({ connectionString: database.connectionString })
    await writer.append([newStream(), newStream(), newStream()])
    await writer.close()
    const events = await log.readAll({ after: 2n, maxCount: 10 })
    expect(events).toHaveLength(3)
    await database.owner.query('UPDATE waybill_log.log_head SET position = 4')
    await endSessions('read')
    await until(
      async () => (await log.head().catch((error: unknown) => error)) instanceof AnotherLogError,
      'it is found out',
    )
    expect(told.map(({ message }) => message)).toEqual(['The log ends at 4, but 5 has been seen: events are lost'])
  })

  it('is not seen where there is none: the same log after lost connections', async () => {
    await endSessions('append')
    await endSessions('read')
    await until(async () => (await log.append([newStream()]))[0]?.kind === 'appended', 'appends work again')
    expect(await log.head()).toBeGreaterThan(2n)
    expect(told).toEqual([])
  })

  it('gives its log id to every node alike', async () => {
    const node = await openPostgresEventLog({ connectionString: database.connectionString })
    expect(node.logId).toBe(log.logId)
    await node.close()
  })
})
