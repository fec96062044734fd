import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { EventLog, RecordedEvent } from '../../src/eventlog/eventLog.ts'
import { openPostgresEventLog, type PostgresEventLogOptions } from '../../src/eventlog/postgres/postgresEventLog.ts'
import { Reader } from '../../src/eventlog/postgres/reader.ts'
import { createFaultyNetwork } from './faultyNetwork.ts'
import { createLogDatabase, type LogDatabase, newStream, until } from './logDatabase.ts'

// It polls once an hour: whatever comes, comes because somebody told of it.
describe('who follows the log', () => {
  let database: LogDatabase
  let writer: EventLog
  let opened: { close(): Promise<void> }[]

  beforeEach(async () => {
    database = await createLogDatabase()
    writer = await openPostgresEventLog({ connectionString: database.connectionString })
    opened = [writer]
  })
  afterEach(async () => {
    for (const each of opened.toReversed()) await each.close()
    await database.drop()
  })

  async function follow(options: Partial<PostgresEventLogOptions> = {}) {
    const log = await openPostgresEventLog({
      connectionString: database.connectionString,
      pollIntervalMs: 3_600_000,
      ...options,
    })
    opened.push(log)
    const { signal } = new AbortController()
    const events = log.subscribe({ after: 0n, maxCount: 10, signal })[Symbol.asyncIterator]()
    return { log, next: () => events.next() as Promise<IteratorResult<readonly RecordedEvent[]>> }
  }

  /** Process ids of the sessions that listen. */
  async function listening(): Promise<number[]> {
    const { rows } = await database.owner.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity
       WHERE datname = $1 AND application_name = 'waybill listen' AND query = 'LISTEN waybill_log' AND state = 'idle'`,
      [database.name],
    )
    return rows.map(({ pid }) => pid)
  }

  const idsOf = ({ value }: Awaited<ReturnType<Awaited<ReturnType<typeof follow>>['next']>>) =>
    value.map(({ id }: RecordedEvent) => id)

  it('is woken by another node’s append, again and again', async () => {
    const { next } = await follow()
    for (let n = 0; n < 3; n += 1) {
      const event = next()
      await until(async () => (await listening()).length === 1, 'it listens')
      const request = newStream()
      await writer.append([request])
      expect(idsOf(await event)).toEqual(request.events.map(({ id }) => id))
    }
  })

  it('listens again when that connection is lost, and misses nothing that came meanwhile', async () => {
    const { next } = await follow()
    const event = next()
    await until(async () => (await listening()).length === 1, 'it listens')
    const [pid] = await listening()
    await database.owner.query('SELECT pg_terminate_backend($1)', [pid])
    const request = newStream()
    await writer.append([request])
    expect(idsOf(await event)).toEqual(request.events.map(({ id }) => id))
    await until(async () => (await listening()).some((other) => other !== pid), 'it listens again')
  })

  it('is woken by its own node’s append without a connection to listen on, and that is logged', async () => {
    const network = await createFaultyNetwork(database.connectionString)
    opened.push(network)
    const warn = vi.fn()
    const logger = { info: () => undefined, warn, error: () => undefined }
    const { log, next } = await follow({ connectionString: network.connectionString, logger })
    network.refuse()
    const event = next()
    await until(() => warn.mock.calls.length > 0, 'it cannot listen')
    expect(warn.mock.calls[0]).toEqual([{ reason: expect.any(String) }, 'Cannot listen for appends; polling'])
    const request = newStream()
    await log.append([request])
    expect(idsOf(await event)).toEqual(request.events.map(({ id }) => id))
  })

  it('reads nothing where its own appends end, until others tell of theirs', async () => {
    const readAll = vi.spyOn(Reader.prototype, 'readAll')
    const network = await createFaultyNetwork(database.connectionString)
    opened.push(network)
    const warn = vi.fn()
    const logger = { info: () => undefined, warn, error: () => undefined }
    const { log, next } = await follow({ connectionString: network.connectionString, logger })
    // What this process tells itself by NOTIFY may come late, and then counts as told by others.
    network.refuse()
    for (let n = 0; n < 5; n += 1) {
      const event = next()
      await until(() => warn.mock.calls.length > 0 && readAll.mock.calls.length > 0, 'it has looked once')
      const request = newStream()
      await log.append([request])
      expect(idsOf(await event)).toEqual(request.events.map(({ id }) => id))
    }
    const { length } = readAll.mock.calls
    readAll.mockRestore()
    expect(length).toBe(1)
  })

  it('is woken by another node’s append after its own', async () => {
    const { log, next } = await follow()
    for (const appender of [log, writer, log, writer]) {
      const event = next()
      await until(async () => (await listening()).length === 1, 'it listens')
      const request = newStream()
      await appender.append([request])
      expect(idsOf(await event)).toEqual(request.events.map(({ id }) => id))
    }
  })

  it('leaves no session behind', async () => {
    const { log, next } = await follow()
    const ended = expect(next()).rejects.toThrow('The log is closed')
    await until(async () => (await listening()).length === 1, 'it listens')
    await log.close()
    await ended
    await until(async () => (await listening()).length === 0, 'it is gone')
  })
})
