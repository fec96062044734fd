import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createRandom } from '../../src/demo/random.ts'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { SelfAudit } from '../../src/processes/selfAudit.ts'
import type { AuditRows } from '../../src/projections/auditRows.ts'
import { createProjections, type Projections } from '../../src/projections/projections.ts'
import { eventually } from '../projections/support/eventually.ts'
import { Journal } from '../projections/support/journal.ts'
import { createReadModelDatabase, type ReadModelDatabase } from '../projections/support/readModelDatabase.ts'
import { auditing, caughtUp, project } from './support/auditing.ts'

let database: ReadModelDatabase
let journal: Journal
const opened: Projections[] = []
const count = 300

beforeAll(async () => {
  database = await createReadModelDatabase()
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map((projections) => projections.close()))
})
afterAll(() => database.drop())

/** Rows of very different sizes, on many blocks; some operations with many events. */
async function folded(): Promise<Projections> {
  journal = new Journal(createMemoryEventLog())
  for (let index = 0; index < count; index += 1) {
    await journal.open(`op-${index}`, { data: { text: 'x'.repeat((index % 7) * 300) } })
    for (let report = 0; report < index % 5; report += 1) await journal.report(`op-${index}`, `s${report}`)
  }
  const projections = project(database, journal.log)
  opened.push(projections)
  await caughtUp(projections, journal.position)
  return projections
}

/** The operations that were looked at. */
function noting(rows: AuditRows, seen: string[], onlyOne?: 'rows' | 'log'): AuditRows {
  return {
    ...rows,
    operation: async (id) => {
      seen.push(id)
      // What is found is of no interest here.
      return null
    },
    ...(onlyOne === 'rows' ? { checkpoint: async () => null } : {}),
    ...(onlyOne === 'log' ? { randomOperation: async () => null } : {}),
  }
}

/** Scans of whole tables so far. A session's are on record once it has ended. */
async function scansOnRecord(): Promise<unknown> {
  await eventually('all other sessions have ended', async () => {
    const { rowCount } = await database.admin.query(
      "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'waybill %'",
    )
    return rowCount === 0 ? true : undefined
  })
  const { rows } = await database.admin.query(
    `SELECT relname, seq_scan FROM pg_stat_user_tables
     WHERE relname IN ('operations', 'shapes', 'parked', 'pipelines') ORDER BY relname`,
  )
  return rows
}

describe('sampling', () => {
  it.each(['rows', 'log'] as const)('reaches every operation from the %s alone', async (side) => {
    const projections = await folded()
    const seen: string[] = []
    const sampler = auditing(journal.log, projections, { rows: noting(projections.auditRows, seen, side) })
    // The rarest has a chance of 1 in some 900 a sample; that one of 300 is missed in 12,000: 1 in 2,000.
    await sampler.until(() => seen.length % 100 === 0 && new Set(seen).size === count, 12_000)
  })

  it('draws the same samples again with the same seed', async () => {
    const projections = await folded()
    const draw = async (seed: number): Promise<string[]> => {
      const seen: string[] = []
      await auditing(journal.log, projections, { seed, rows: noting(projections.auditRows, seen) }).samples(50)
      return seen
    }
    expect(await draw(7)).toEqual(await draw(7))
    expect(await draw(7)).not.toEqual(await draw(8))
  })

  it('reads no table as a whole', async () => {
    await (await folded()).close()
    const { connectionString, role } = database
    const idle = createProjections({ connectionString, role, log: journal.log })
    opened.push(idle)
    const before = await scansOnRecord()
    const { samples, audit } = auditing(journal.log, idle)
    await samples(300)
    expect(audit.status().checked.count).toBeGreaterThan(0)
    await idle.close()
    expect(await scansOnRecord()).toEqual(before)
  })

  it('takes samples at intervals between half and one and a half of the mean', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 100_000 }), fc.integer(), async (intervalMs, seed) => {
        const waits: number[] = []
        const seeded = createRandom(seed)
        const stopped = new Promise<void>((resolve) => {
          const audit = new SelfAudit({
            log: createMemoryEventLog(),
            rows: emptyRows,
            intervalMs,
            random: () => seeded.next(),
            pause: async (ms) => {
              waits.push(ms)
              if (waits.length === 200) void audit.stop().then(resolve)
            },
          })
          audit.start()
        })
        await stopped
        const mean = waits.reduce((sum, ms) => sum + ms, 0) / waits.length
        expect(Math.min(...waits)).toBeGreaterThanOrEqual(intervalMs / 2)
        expect(Math.max(...waits)).toBeLessThan(intervalMs * 1.5)
        expect(mean / intervalMs).toBeGreaterThan(0.85)
        expect(mean / intervalMs).toBeLessThan(1.15)
      }),
      { numRuns: 20 },
    )
  })

  it('goes on when the stores fail, counts it, says so once, and grows old meanwhile', async () => {
    let down = true
    let now = 0
    const lines: string[] = []
    const rows: AuditRows = {
      ...emptyRows,
      checkpoint: async () => {
        if (down) throw new Error('down')
        return null
      },
    }
    const audit = new SelfAudit({
      log: createMemoryEventLog(),
      rows,
      intervalMs: 1,
      now: () => now,
      logger: { info: () => undefined, warn: (_fields, message) => lines.push(message), error: () => undefined },
    })
    for (let sample = 0; sample < 5; sample += 1) {
      now += 10_000
      await audit.sample()
    }
    expect(audit.status()).toMatchObject({ secondsSinceCheck: 50, skipped: { unavailable: 5 }, drifting: 0 })
    expect(lines).toHaveLength(1)
    down = false
    await audit.sample()
    expect(audit.status().secondsSinceCheck).toBe(0)
  })
})

const emptyRows: AuditRows = {
  checkpoint: async () => null,
  randomOperation: async () => null,
  operation: async () => null,
  definition: async () => null,
  randomShape: async () => null,
  countsByName: async () => false,
  countShape: async () => null,
  close: async () => undefined,
}
