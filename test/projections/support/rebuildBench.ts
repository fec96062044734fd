import { afterEach, beforeEach, expect } from 'vitest'
import type { EventLog } from '../../../src/eventlog/eventLog.ts'
import { createMemoryEventLog } from '../../../src/eventlog/memory/memoryEventLog.ts'
import { createProjections, type Projections, type ProjectionsSettings } from '../../../src/projections/projections.ts'
import type { ProjectorPhase } from '../../../src/projections/readModel.ts'
import { nextInChain } from '../../operation/support/nextInChain.ts'
import { patienceMs } from '../../support/patience.ts'
import { eventually } from './eventually.ts'
import { Journal } from './journal.ts'
import { invoice } from './pipelines.ts'
import { createReadModelDatabase, type ReadModelDatabase } from './readModelDatabase.ts'

export interface RebuildBench {
  /** The test's own. */
  readonly database: ReadModelDatabase
  /** Closed with the test; not started. */
  readonly node: (log: EventLog, settings?: Partial<ProjectionsSettings>) => Projections
  readonly start: (log: EventLog, settings?: Partial<ProjectionsSettings>) => Projections
  readonly shadowTables: () => Promise<readonly string[]>
  readonly shadowPosition: () => Promise<bigint>
  /** Ends the one session of this application name. */
  readonly terminate: (application: string) => Promise<void>
}

/** A database for each test, and what tests of rebuilds do with it. */
export function rebuildBench(): RebuildBench {
  let database: ReadModelDatabase
  const opened: Projections[] = []

  beforeEach(async () => {
    database = await createReadModelDatabase()
  })
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((projections) => projections.close()))
    await database.drop()
  })

  const node: RebuildBench['node'] = (log, settings = {}) => {
    const { connectionString, role } = database
    const common = { connectionString, role, log, windowMs: 1, takeOverIntervalMs: 20 }
    const projections = createProjections({ ...common, ...settings })
    opened.push(projections)
    return projections
  }

  return {
    get database() {
      return database
    },
    node,
    start(log, settings) {
      const projections = node(log, settings)
      projections.projector.start()
      return projections
    },
    async shadowTables() {
      const { rows } = await database.admin.query<{ name: string }>(
        `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'waybill_shadow' AND c.relkind = 'r' ORDER BY 1`,
      )
      return rows.map(({ name }) => name)
    },
    async shadowPosition() {
      const { rows } = await database.admin.query<{ position: bigint }>(
        'SELECT position FROM waybill_shadow.checkpoints',
      )
      return rows[0]?.position ?? -1n
    },
    async terminate(application) {
      const { rowCount } = await database.admin.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()',
        [application],
      )
      expect(rowCount).toBe(1)
    },
  }
}

export async function caughtUp({ readModel, projector }: Projections, position: bigint): Promise<void> {
  if (!(await readModel.waitFor(position, patienceMs))) throw new Error(JSON.stringify(projector.status().phase))
}

export function phase({ projector }: Projections, wanted: ProjectorPhase): Promise<true> {
  return eventually(`phase ${wanted}`, () => (projector.status().phase === wanted ? true : undefined))
}

/** 29 operations of several kinds, one of them (op-3) parked: 60 events. */
export async function someHistory(): Promise<Journal> {
  const journal = new Journal(createMemoryEventLog())
  await journal.define('invoice', invoice)
  for (let index = 0; index < 29; index += 1) {
    journal.pass(3)
    const pipeline = index % 2 === 0 ? 'invoice' : 'any'
    await journal.open(`op-${index}`, { pipeline, metadata: { tenant: `t${index % 3}` } })
    await journal.report(`op-${index}`, 'read', { track: 'main', data: { index } })
  }
  await journal.append([await nextInChain(journal.log, 'operation-op-3')])
  return journal
}
