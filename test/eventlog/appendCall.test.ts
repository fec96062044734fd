import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { EventLog } from '../../src/eventlog/eventLog.ts'
import { DurabilityOffError } from '../../src/eventlog/postgres/identity.ts'
import { openPostgresEventLog } from '../../src/eventlog/postgres/postgresEventLog.ts'
import { createLogDatabase, type LogDatabase, newEvent, newStream, until } from './logDatabase.ts'

describe('append_chains() on PostgreSQL', () => {
  let database: LogDatabase
  let log: EventLog

  beforeAll(async () => {
    database = await createLogDatabase()
    log = await openPostgresEventLog({ connectionString: database.connectionString })
  })
  afterAll(async () => {
    await log.close()
    await database.drop()
  })

  const appendAs = (session: LogDatabase['owner'], stream: string, expected: number) =>
    session.query(
      `SELECT head_before, conflicts FROM waybill_log.append_chains($1, 1, -1, $2, '{0}', ARRAY[$3]::bigint[], '{1}', '{0}', '{1}',
         '{1}', ARRAY[gen_random_uuid()], 'Happened', '{}', '{}')`,
      [log.logId, stream, expected],
    )

  it('judges by what the stream holds once the lock is had, not when the wait for it began', async () => {
    const there = newStream()
    await log.append([there])
    const head = await database.holdHead()
    const stale = log.append([
      { ...there, expectedRevision: 0n, events: [newEvent()] },
      { ...there, expectedRevision: 1n, events: [newEvent()] },
    ])
    const fresh = log.append([newStream()])
    await until(async () => {
      const { rows } = await database.owner.query(
        `SELECT FROM pg_stat_activity WHERE datname = $1 AND application_name = 'waybill append' AND wait_event_type = 'Lock'`,
        [database.name],
      )
      return rows.length === 1
    }, 'the append waits for the head')
    await appendAs(head.client, there.stream, 0)
    await head.release('COMMIT')
    expect(await stale).toEqual([{ kind: 'conflict', actualRevision: 1n }, { kind: 'untried' }])
    expect(await fresh).toMatchObject([{ kind: 'appended', revision: 0n }])
  })

  it('refuses any isolation in which it could not do so, and does not depend on the database’s default', async () => {
    for (const isolation of ['REPEATABLE READ', 'SERIALIZABLE']) {
      await database.owner.query(`BEGIN ISOLATION LEVEL ${isolation}`)
      await expect(appendAs(database.owner, 'isolated', -1)).rejects.toMatchObject({ code: '25000' })
      await database.owner.query('ROLLBACK')
    }
    await database.owner.query(`ALTER DATABASE ${database.name} SET default_transaction_isolation = 'serializable'`)
    const other = await openPostgresEventLog({ connectionString: database.connectionString })
    expect(await other.append([newStream()])).toMatchObject([{ kind: 'appended' }])
    await other.close()
    await database.owner.query(`ALTER DATABASE ${database.name} RESET default_transaction_isolation`)
  })

  it('keeps a poisoned command from killing its neighbours, whatever way it is poisoned', async () => {
    const tooDeep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
    const old = newEvent()
    await log.append([{ ...newStream(), events: [old] }])
    const poisons = [newEvent({ data: tooDeep }), newEvent({ data: '{' }), newEvent({ metadata: '\u00a0{}' }), old]
    const batch = Array.from({ length: 100 }, () => newStream())
    for (const [index, poison] of poisons.entries()) {
      const { stream } = batch[index * 20]!
      batch.push({ stream, expectedRevision: 0n, events: [newEvent()] })
      batch.push({ stream, expectedRevision: 1n, events: [newEvent(), poison] })
      batch.push({ stream, expectedRevision: 3n, events: [newEvent()] })
    }
    const outcomes = await log.append(batch)
    expect(outcomes.slice(0, 100).every(({ kind }) => kind === 'appended')).toBe(true)
    const said = outcomes.slice(100).map(({ kind }) => kind)
    const invalid = ['appended', 'rejected', 'untried']
    expect(said).toEqual([...invalid, ...invalid, ...invalid, 'appended', 'duplicate', 'untried'])
  })

  it('lets an event written past it, without the lock, make a conflict and nothing worse', async () => {
    const there = newStream()
    await log.append([there])
    const intruder = await database.holdHead()
    await intruder.release('ROLLBACK')
    await database.owner.query('BEGIN')
    await database.owner.query(
      `INSERT INTO waybill_log.events (position, revision, stream_number, id, type, data, metadata)
       SELECT 1000000000, 1, number, gen_random_uuid(), 'Forged', '{}', '{}' FROM waybill_log.streams WHERE name = $1`,
      [there.stream],
    )
    const request = { ...there, expectedRevision: 0n, events: [newEvent()] }
    const outcome = log.append([request, newStream()])
    await until(async () => {
      const { rows } = await database.owner.query(
        `SELECT FROM pg_stat_activity WHERE datname = $1 AND application_name = 'waybill append' AND wait_event_type = 'Lock'`,
        [database.name],
      )
      return rows.length === 1
    }, 'the append waits for the event')
    await database.owner.query('COMMIT')
    expect(await outcome).toMatchObject([{ kind: 'conflict', actualRevision: 1n }, { kind: 'appended' }])
  })

  it('uses one connection for all appends of a node', async () => {
    await Promise.all(Array.from({ length: 20 }, () => log.append([newStream()])))
    expect(await database.writerPids()).toHaveLength(1)
  })

  it('refuses to serve a database whose commits do not wait for the disk, unless told to', async () => {
    const own = await createLogDatabase()
    onTestFinished(() => own.drop())
    await own.owner.query(`ALTER DATABASE ${own.name} SET synchronous_commit = off`)
    const { connectionString } = own
    await expect(openPostgresEventLog({ connectionString })).rejects.toThrow(DurabilityOffError)
    const warnings: string[] = []
    const warn = (_: object, message: string) => warnings.push(message)
    const logger = { info: () => undefined, warn, error: () => undefined }
    const unsafe = await openPostgresEventLog({ connectionString, allowUnsafeDurability: true, logger })
    expect(await unsafe.append([newStream()])).toMatchObject([{ kind: 'appended' }])
    expect(warnings[0]).toContain('SYNCHRONOUS_COMMIT OFF')
    await unsafe.close()
  })

  it('wants its bounds in order', async () => {
    const { connectionString } = database
    const disorder = { lockTimeoutMs: 500, statementTimeoutMs: 500, deadlineMs: 600 }
    await expect(openPostgresEventLog({ connectionString, ...disorder })).rejects.toThrow(RangeError)
  })
})
