import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { LogNotOpenError } from '../../src/eventlog/eventLog.ts'
import { openPostgresEventLog, type PostgresEventLogOptions } from '../../src/eventlog/postgres/postgresEventLog.ts'
import { patienceMs } from '../support/patience.ts'
import { createFaultyNetwork } from './faultyNetwork.ts'
import { createLogDatabase, type LogDatabase, newStream, until } from './logDatabase.ts'

describe('what the log tells of its database', () => {
  let database: LogDatabase
  let opened: { close(): Promise<void> }[]

  beforeEach(async () => {
    database = await createLogDatabase()
    opened = []
  })
  afterEach(async () => {
    for (const each of opened.toReversed()) await each.close()
    await database.drop()
  })

  async function open(options: Partial<PostgresEventLogOptions> = {}) {
    const logger = { info: vi.fn(), warn: vi.fn(), error: vi.fn() }
    const log = await openPostgresEventLog({ connectionString: database.connectionString, logger, ...options })
    opened.push(log)
    return { log, logger }
  }

  const endSessions = (name: string) =>
    database.owner.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND application_name = $2',
      [database.name, name],
    )

  const reason = expect.stringMatching(/./)

  it.each(['closed', 'importing'] as const)('one that is %s is not opened, or takes no appends', async (state) => {
    await database.owner.query('UPDATE waybill_log.log_head SET state = $1', [state])
    await expect(open()).rejects.toThrow(new LogNotOpenError(state))
    const { log, logger } = await open({ whateverState: true })
    expect(await log.append([newStream()])).toEqual([{ kind: 'unavailable' }])
    const message = 'The event log was closed: it has been copied, or is being copied, to another store'
    expect(logger.error.mock.calls).toEqual([[{ code: 'WB002' }, message]])
  })

  it.each([
    ['57014', 'warn', 'The event log refused a batch for now'],
    ['XX000', 'error', 'The event log refused a batch for a reason unforeseen'],
  ] as const)('refused with SQLSTATE %s: %s', async (code, level, message) => {
    const { log, logger } = await open()
    await database.owner.query(
      `CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '${code}'; END $$;
       CREATE TRIGGER refuse BEFORE INSERT ON waybill_log.events FOR EACH ROW EXECUTE FUNCTION public.refuse()`,
    )
    expect(await log.append([newStream()])).toEqual([{ kind: 'unavailable' }])
    const others = level === 'warn' ? logger.error : logger.warn
    expect(logger[level].mock.calls).toEqual([[{ code }, message]])
    expect(others).not.toHaveBeenCalled()
  })

  it('a connection for appends that is lost, and found again', async () => {
    const { log, logger } = await open()
    await endSessions('waybill append')
    await until(() => logger.info.mock.calls.length > 0, 'it is found again')
    expect(logger.warn.mock.calls).toEqual([[{ reason }, 'Lost the connection that appends to the event log']])
    expect(logger.info.mock.calls).toEqual([[{ downMs: expect.any(Number) }, 'Connected to the event log again']])
    const { downMs } = logger.info.mock.calls[0]?.[0] ?? {}
    expect(downMs).toBeGreaterThanOrEqual(0)
    expect(downMs).toBeLessThan(patienceMs)
    expect(await log.append([newStream()])).toMatchObject([{ kind: 'appended' }])
  })

  it('a server that cannot be reached: said once, and appends are answered within our patience', async () => {
    const network = await createFaultyNetwork(database.connectionString)
    opened.push(network)
    const { log, logger } = await open({ connectionString: network.connectionString, patienceMs: 300 })
    network.refuse()
    network.cut()
    const unreachable = () =>
      logger.warn.mock.calls.filter(([, message]) => message === 'The event log cannot be reached')
    await until(() => unreachable().length > 0, 'it is said')
    expect(await log.append([newStream()])).toEqual([{ kind: 'unavailable' }])
    network.accept()
    await until(async () => (await log.append([newStream()]))[0]?.kind === 'appended', 'appends work again')
    expect(unreachable()).toEqual([[{ reason }, expect.anything()]])
  })

  it('a connection for reads that is lost while nobody needs it', async () => {
    const { log, logger } = await open()
    await log.head()
    await endSessions('waybill read')
    await until(() => logger.warn.mock.calls.length > 0, 'it is said')
    expect(logger.warn.mock.calls).toEqual([[{ reason }, 'Lost an idle connection to the event log']])
    expect(await log.head()).toBe(0n)
  })
})
