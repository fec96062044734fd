import { afterAll, afterEach, beforeAll } from 'vitest'
import type { EventLog } from '../../../src/eventlog/eventLog.ts'
import { openPostgresEventLog } from '../../../src/eventlog/postgres/postgresEventLog.ts'
import { createProjections, type Projections, type ProjectionsSettings } from '../../../src/projections/projections.ts'
import { patienceMs } from '../../support/patience.ts'
import { type Tampering, tamperingWith } from '../../support/tampering.ts'
import type { Journal } from './journal.ts'
import { createReadModelDatabase, type ReadModelDatabase } from './readModelDatabase.ts'

/** Of a file: a log in PostgreSQL that is tampered with, and what projects it. */
export interface TamperingBench {
  readonly database: ReadModelDatabase
  readonly tampering: Tampering
  /** What was logged as an error in this test. */
  readonly errors: { fields: object; message: string }[]
  /** An empty log of its own. */
  readonly emptyLog: () => Promise<EventLog>
  /** The log as another node opens it, which holds nothing in memory of what was appended. */
  readonly openLog: () => Promise<EventLog>
  readonly start: (log: EventLog, settings?: Partial<ProjectionsSettings>) => Projections
}

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined }

export function tamperingBench(): TamperingBench {
  const errors: { fields: object; message: string }[] = []
  const opened: { close(): Promise<void> }[] = []
  let database: ReadModelDatabase
  let tampering: Tampering
  beforeAll(async () => {
    database = await createReadModelDatabase()
    tampering = await tamperingWith(database.connectionString)
  })
  afterEach(async () => {
    for (const one of opened.splice(0).reverse()) await one.close()
    errors.length = 0
  })
  afterAll(async () => {
    await tampering.end()
    await database.drop()
  })
  const bench: TamperingBench = {
    errors,
    get database() {
      return database
    },
    get tampering() {
      return tampering
    },

    async emptyLog() {
      await tampering.empty()
      return bench.openLog()
    },

    async openLog() {
      const { connectionString, role } = database
      const log = await openPostgresEventLog({ connectionString, role, logger: quiet })
      opened.push(log)
      return log
    },

    start(log, settings = {}) {
      const { connectionString, role } = database
      const error = (fields: object, message: string) => void errors.push({ fields, message })
      const logger = { ...quiet, error }
      const paces = { windowMs: 1, takeOverIntervalMs: 20 }
      const projections = createProjections({ connectionString, role, log, logger, ...paces, ...settings })
      opened.push(projections)
      projections.projector.start()
      return projections
    },
  }
  return bench
}

export async function caughtUp({ readModel, projector }: Projections, { position }: Journal): Promise<void> {
  if (!(await readModel.waitFor(position, patienceMs))) throw new Error(JSON.stringify(projector.status()))
}

/** By stream: where it is parked, and why. */
export async function parked({ readModel }: Projections): Promise<Record<string, [bigint, string]>> {
  const { value } = await readModel.parkedStreams(100)
  return Object.fromEntries(value.map(({ stream, revision, reason }) => [stream, [revision, reason]]))
}

export async function shown({ readModel }: Projections, id: string) {
  const { value, parked: place } = await readModel.operation(id)
  if (value === null) return { parked: place }
  const { data } = JSON.parse(value.body)
  return { revision: value.revision, data, parked: value.parked }
}
