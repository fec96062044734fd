import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openPostgresEventLog, type PostgresLog } from '../../src/eventlog/postgres/postgresEventLog.ts'
import { createProjections } from '../../src/projections/projections.ts'
import { createFaultyNetwork, type FaultyNetwork } from './faultyNetwork.ts'
import { createLogDatabase, type LogDatabase, newStream, until } from './logDatabase.ts'

const hourMs = 3_600_000

// What is waited for is measured by a clock that only grows: the machine's may be set.
describe('a clock that is set by an hour', () => {
  const bounds = { lockTimeoutMs: 2_000, statementTimeoutMs: 2_200, deadlineMs: 2_500, patienceMs: 300 }
  let database: LogDatabase
  let network: FaultyNetwork
  let log: PostgresLog

  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
    database = await createLogDatabase()
    network = await createFaultyNetwork(database.connectionString)
    log = await openPostgresEventLog({ connectionString: network.connectionString, ...bounds })
  })
  afterEach(async () => {
    await log.close()
    await network.close()
    await database.drop()
    vi.useRealTimers()
  })

  const jump = (ms: number) => vi.setSystemTime(Date.now() + ms)

  it('back, while the server is gone, keeps no append waiting for longer', async () => {
    network.refuse()
    network.cut()
    expect(await log.append([newStream()])).not.toMatchObject([{ kind: 'appended' }])
    jump(-hourMs)
    // Within the test's own time, which is less than an hour.
    expect(await log.append([newStream()])).toEqual([{ kind: 'unavailable' }])
  })

  it('forwards, leaves no outcome unknown while it can still land', async () => {
    const head = await database.holdHead()
    const request = newStream()
    const outcome = log.append([request])
    await until(async () => {
      const { rowCount } = await database.owner.query(
        `SELECT FROM pg_stat_activity WHERE datname = $1 AND application_name = 'waybill append' AND wait_event_type = 'Lock'`,
        [database.name],
      )
      return rowCount !== 0
    }, 'the append waits for the head')
    network.refuse()
    network.loseClients()
    const lostMs = performance.now()
    jump(hourMs)
    expect(await outcome).toEqual([{ kind: 'unknown' }])
    expect(performance.now() - lostMs).toBeGreaterThan(2 * bounds.statementTimeoutMs)
    await head.release('COMMIT')
  })

  it('back, does not stop the projection', async () => {
    const { connectionString } = database
    const patient = { lockTimeoutMs: 60_000, statementTimeoutMs: 70_000, deadlineMs: 80_000 }
    await log.close()
    log = await openPostgresEventLog({ connectionString: network.connectionString, ...patient })
    const projections = createProjections({ connectionString, role: 'waybill_service', log })
    projections.projector.start()
    const projected = async () => {
      const [outcome] = await log.append([newStream()])
      const position = outcome?.kind === 'appended' ? outcome.position : -1n
      await until(() => projections.readModel.position() === position, 'it is projected')
    }
    await projected()
    jump(-hourMs)
    await projected()
    await projected()
    await projections.close()
  })
})
