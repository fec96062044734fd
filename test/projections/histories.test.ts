import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import type { CommandBody } from '../../src/operation/commands.ts'
import { Document } from '../../src/operation/document.ts'
import { noHash } from '../../src/operation/envelope.ts'
import { operationBody } from '../../src/operation/view.ts'
import { createProjections, type Projections } from '../../src/projections/projections.ts'
import { patienceMs } from '../support/patience.ts'
import { Journal } from './support/journal.ts'
import { stutteringLog } from './support/logs.ts'
import { invoice, linear } from './support/pipelines.ts'
import { allRows, createReadModelDatabase, type ReadModelDatabase } from './support/readModelDatabase.ts'

interface Step {
  readonly operation: string
  readonly body: CommandBody
  readonly passMs: number
}

const operations = ['op-1', 'op-2', 'op-3', 'op-4', 'op-5']
const statuses = ['new', 'read', 'paid', 'queued', 'passed', 'suspect', 'status1', 'status2', 'done']
const documents = fc.dictionary(
  fc.constantFrom('a', 'b', '10', '2', 'ü'),
  fc.oneof(fc.jsonValue({ maxDepth: 2, depthSize: 'small' }), fc.constant(null)),
  { maxKeys: 3 },
)
const optional = { requiredKeys: ['type', 'service', 'status'] } as const

const reports = fc.record(
  {
    type: fc.constant('ReportStatus' as const),
    service: fc.constantFrom('ocr', 'fraud check'),
    status: fc.constantFrom(...statuses),
    track: fc.constantFrom('main', 'fraud'),
    sequence: fc.nat(5),
    // As parsed from JSON: that is what a command carries.
    data: documents.map((value) => JSON.parse(JSON.stringify(value))),
    metadata: documents.map((value) => JSON.parse(JSON.stringify(value))),
    pipeline: fc.constantFrom('any', 'invoice', 'linear'),
  },
  { requiredKeys: [...optional.requiredKeys] },
)
const steps: fc.Arbitrary<Step> = fc.record({
  operation: fc.constantFrom(...operations),
  body: reports,
  passMs: fc.nat(3),
})

/** What the counts must be: the operations, counted. */
function counted(journal: Journal): unknown {
  const pipelines: Record<
    string,
    { operations: number; states: Record<string, number>; tracks: Record<string, Record<string, number>> }
  > = {}
  for (const state of journal.states.values()) {
    pipelines[state.pipeline.name] ??= { operations: 0, states: {}, tracks: {} }
    const stats = pipelines[state.pipeline.name]
    if (stats === undefined) continue
    stats.operations += 1
    stats.states[state.state] = (stats.states[state.state] ?? 0) + 1
    for (const [track, { status }] of Object.entries(state.tracks)) {
      stats.tracks[track] ??= {}
      const ofTrack = stats.tracks[track]
      if (status !== null && ofTrack !== undefined) ofTrack[status] = (ofTrack[status] ?? 0) + 1
    }
  }
  return pipelines
}

/** What a command service has at hand: true states, behind, level or ahead; of one operation a state of another history. */
function confirmedBy(journal: Journal) {
  return (operation: string) => {
    const state = journal.states.get(operation) ?? null
    return state === null || operation !== 'op-5'
      ? state
      : { ...state, lastHash: noHash, data: Document.of({ foreign: true }) }
  }
}

describe('any history', () => {
  let database: ReadModelDatabase

  beforeAll(async () => {
    database = await createReadModelDatabase()
  })
  afterAll(() => database.drop())

  async function expectFolded({ readModel }: Projections, journal: Journal): Promise<void> {
    expect(await readModel.waitFor(journal.position, patienceMs)).toBe(true)
    for (const operation of operations) {
      const { value } = await readModel.operation(operation)
      const state = journal.states.get(operation)
      expect(value?.body ?? null).toBe(state === undefined ? null : operationBody(state))
      expect(value?.position ?? null).toBe(journal.positions.get(operation) ?? null)
    }
    const { value: stats } = await readModel.stats()
    expect(stats).toEqual({ pipelines: counted(journal), parked: 0 })
  }

  it('is read as the direct fold, with counts that are the counted rows, in batches of any size', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(steps, { minLength: 1, maxLength: 60 }),
        fc.nat(60),
        fc.constantFrom(1, 3, 1_000),
        fc.constantFrom(1, 1_000_000),
        fc.boolean(),
        fc.boolean(),
        async (history, stop, batchEventsMax, cacheBytesMax, stutters, recognises) => {
          const journal = new Journal(createMemoryEventLog())
          const log = stutters ? stutteringLog(journal.log) : journal.log
          const { connectionString, role } = database
          const start = (): Projections => {
            const projections = createProjections({
              connectionString,
              role,
              log,
              batchEventsMax,
              cacheBytesMax,
              windowMs: 0,
              ...(recognises ? { confirmed: confirmedBy(journal) } : {}),
            })
            projections.projector.start()
            return projections
          }
          await journal.define('invoice', invoice)
          const first = start()
          await journal.define('linear', linear)
          for (const [index, { operation, body, passMs }] of history.entries()) {
            journal.pass(passMs)
            await journal.submit(operation, body)
            // In the midst of it, whatever is under way.
            if (index === stop) await first.close()
          }
          await first.close()
          const second = start()
          try {
            await expectFolded(second, journal)
            const rows = await allRows(database.admin)
            await second.projector.rebuild()
            expect(await allRows(database.admin)).toEqual(rows)
          } finally {
            await second.close()
          }
        },
      ),
      { numRuns: 40 },
    )
  })
})
