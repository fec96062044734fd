import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { EventLog } from '../../src/eventlog/eventLog.ts'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { interventionStream } from '../../src/projections/parking/interventions.ts'
import { ParkedStreams } from '../../src/projections/parking/parkedStreams.ts'
import { createProjections, type Projections, type ProjectionsSettings } from '../../src/projections/projections.ts'
import { nextInChain } from '../operation/support/nextInChain.ts'
import { patienceMs } from '../support/patience.ts'
import { eventually } from './support/eventually.ts'
import { Journal } from './support/journal.ts'
import { linear } from './support/pipelines.ts'
import { allRows, createReadModelDatabase, type ReadModelDatabase } from './support/readModelDatabase.ts'

let database: ReadModelDatabase
const opened: Projections[] = []

beforeAll(async () => {
  database = await createReadModelDatabase()
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map((projections) => projections.close()))
})
afterAll(() => database.drop())

function start(log: EventLog, settings: Partial<ProjectionsSettings> = {}): Projections {
  const { connectionString, role } = database
  const projections = createProjections({
    connectionString,
    role,
    log,
    windowMs: 1,
    takeOverIntervalMs: 20,
    ...settings,
  })
  opened.push(projections)
  projections.projector.start()
  return projections
}

async function caughtUp({ readModel, projector }: Projections, { position }: Journal): Promise<void> {
  if (!(await readModel.waitFor(position, patienceMs))) throw new Error(JSON.stringify(projector.status()))
}

/** What the rows are must not depend on when and how they were made. */
async function expectSameAnew(projections: Projections, journal: Journal): Promise<void> {
  await caughtUp(projections, journal)
  const rows = await allRows(database.admin)
  await projections.projector.rebuild()
  expect(await allRows(database.admin)).toEqual(rows)
  await projections.close()
  for (const batchEventsMax of [1, 1_000]) {
    await database.admin.query("UPDATE checkpoints SET log_id = 'another'")
    const anew = start(journal.log, { batchEventsMax })
    await caughtUp(anew, journal)
    expect(await allRows(database.admin)).toEqual(rows)
    await anew.close()
  }
}

async function parked({ readModel }: Projections) {
  const { value } = await readModel.parkedStreams(100)
  return value.map(({ stream, revision, reason }) => [stream, revision, reason])
}

async function shown({ readModel }: Projections, id: string) {
  const { value } = await readModel.operation(id)
  if (value === null) return null
  const { data, tracks } = JSON.parse(value.body)
  return { revision: value.revision, data, status: tracks.main.status, parked: value.parked }
}

describe('a skip', () => {
  it('folds the stream on past the event, with all that came after it, and makes the rows a rebuild makes', async () => {
    const journal = new Journal(createMemoryEventLog())
    await journal.open('op-1', { data: { a: 1 } })
    const poison = await journal.poison('op-1')
    await journal.report('op-1', 'seen', { data: { b: 2 } })
    const projections = start(journal.log)
    await caughtUp(projections, journal)
    expect(await shown(projections, 'op-1')).toMatchObject({ revision: 0n, parked: { revision: 1n } })

    await journal.skip('op-1', poison)
    await caughtUp(projections, journal)
    expect(await shown(projections, 'op-1')).toEqual({
      revision: 2n,
      data: { a: 1, b: 2 },
      status: 'seen',
      parked: null,
    })
    expect(projections.projector.status().parked).toBe(0)
    expect((await projections.readModel.stats()).value).toMatchObject({
      parked: 0,
      pipelines: { any: { operations: 1, tracks: { main: { seen: 1 } } } },
    })
    await journal.report('op-1', 'later', { data: { c: 3 } })
    await caughtUp(projections, journal)
    expect(await shown(projections, 'op-1')).toMatchObject({ revision: 3n, data: { a: 1, b: 2, c: 3 } })
    await expectSameAnew(projections, journal)
  })

  it('of one of several poisons parks the stream again at the next; each is skipped for itself', async () => {
    const journal = new Journal(createMemoryEventLog())
    await journal.open('op-1')
    const first = await journal.poison('op-1')
    await journal.report('op-1', 'seen')
    const second = await journal.poison('op-1')
    await journal.report('op-1', 'later')
    // And one that nobody skips.
    await journal.open('op-2')
    await journal.poison('op-2')
    await journal.report('op-2', 'seen')
    const projections = start(journal.log)
    await journal.skip('op-1', first)
    await caughtUp(projections, journal)
    expect(await parked(projections)).toEqual([
      ['operation-op-1', second, 'malformed_event'],
      ['operation-op-2', 1n, 'malformed_event'],
    ])
    expect(await shown(projections, 'op-1')).toMatchObject({ status: 'seen', revision: 2n })
    // Known already, and not parked there: nothing comes of it.
    await journal.skip('op-1', first)
    await journal.skip('op-1', second)
    await journal.report('op-2', 'later')
    await caughtUp(projections, journal)
    expect(await parked(projections)).toEqual([['operation-op-2', 1n, 'malformed_event']])
    expect(await shown(projections, 'op-1')).toMatchObject({ status: 'later', revision: 4n, parked: null })
    await expectSameAnew(projections, journal)
  })

  it('that comes in one batch with the poison and more is the same', async () => {
    const journal = new Journal(createMemoryEventLog())
    await journal.open('op-1')
    const poison = await journal.poison('op-1')
    await journal.report('op-1', 'seen')
    await journal.skip('op-1', poison)
    await journal.report('op-1', 'later')
    await journal.poison('op-1')
    await journal.report('op-1', 'last')
    const projections = start(journal.log)
    await caughtUp(projections, journal)
    expect(await shown(projections, 'op-1')).toMatchObject({ status: 'later', parked: { revision: 4n } })
    await expectSameAnew(projections, journal)
  })

  it("of an operation's opening leaves nothing to fold on, and nothing else breaks", async () => {
    const journal = new Journal(createMemoryEventLog())
    await journal.poison('op-1')
    await journal.skip('op-1', 0n)
    await journal.open('op-2')
    const projections = start(journal.log)
    await caughtUp(projections, journal)
    expect(await parked(projections)).toEqual([])
    expect(await shown(projections, 'op-1')).toBeNull()
    await expectSameAnew(projections, journal)
  })

  it('of a definition lets later ones in; operations set aside for want of them come with a retry', async () => {
    const journal = new Journal(createMemoryEventLog())
    await journal.define('linear', linear)
    const [definition] = await journal.log.readStream('pipeline-linear', { maxCount: 1 })
    const other = new Journal(createMemoryEventLog())
    for (const event of [{}, {}, definition]) {
      await other.append([await nextInChain(other.log, 'pipeline-linear', event)])
    }
    await journal.open('op-1', { pipeline: 'linear' })
    const events = await journal.log.readStream('operation-op-1', { maxCount: 1 })
    await other.append([{ stream: 'operation-op-1', expectedRevision: 'noStream', events }])
    const projections = start(other.log)
    await caughtUp(projections, other)
    expect(await parked(projections)).toEqual([
      ['operation-op-1', 0n, 'unknown_pipeline'],
      ['pipeline-linear', 0n, 'malformed_event'],
    ])
    // A skip holds from its place in the log on, also for a rebuild that knows of the second one from the beginning.
    await other.skipStream('pipeline-linear', 0n)
    await other.retry('op-1')
    await other.skipStream('pipeline-linear', 1n)
    await caughtUp(projections, other)
    expect(await parked(projections)).toEqual([['operation-op-1', 0n, 'unknown_pipeline']])
    expect((await projections.readModel.pipelines(100)).value).toMatchObject([{ name: 'linear', version: 1 }])
    const rows = await allRows(database.admin)
    await projections.projector.rebuild()
    expect(await allRows(database.admin)).toEqual(rows)
    await other.retry('op-1')
    await caughtUp(projections, other)
    expect(await shown(projections, 'op-1')).toMatchObject({ status: 'new', parked: null })
    await expectSameAnew(projections, other)
  })

  it('holds for good: also once the database takes what it refused, and though the command service has folded it', async () => {
    const journal = new Journal(createMemoryEventLog())
    const confirmed = (operation: string) => journal.states.get(operation) ?? null
    const projections = start(journal.log, { confirmed, batchEventsMax: 1 })
    await journal.open('op-1')
    await caughtUp(projections, journal)
    await database.admin.query("ALTER TABLE operations ADD CONSTRAINT refused CHECK (data NOT LIKE '%bad%')")
    try {
      await journal.report('op-1', 'one', { data: { bad: true } })
      await caughtUp(projections, journal)
      expect(await parked(projections)).toEqual([['operation-op-1', 1n, 'refused_by_database']])
      await journal.skip('op-1', 1n)
      await caughtUp(projections, journal)
      expect(await shown(projections, 'op-1')).toMatchObject({ revision: 1n, data: {}, parked: null })
      await journal.report('op-1', 'two', { data: { good: true } })
      await caughtUp(projections, journal)
      expect(await shown(projections, 'op-1')).toMatchObject({ revision: 2n, data: { good: true }, status: 'two' })
    } finally {
      await database.admin.query('ALTER TABLE operations DROP CONSTRAINT refused')
    }
    await expectSameAnew(projections, journal)
  })
})

describe('a retry', () => {
  it('folds what can be folded by now, in order, and later events go on', async () => {
    const journal = new Journal(createMemoryEventLog())
    const projections = start(journal.log)
    await journal.open('op-1')
    await journal.open('op-2')
    await caughtUp(projections, journal)
    await database.admin.query("ALTER TABLE operations ADD CONSTRAINT refused CHECK (id <> 'op-1' OR revision < 1)")
    try {
      await journal.report('op-1', 'one', { data: { one: 1 } })
      await caughtUp(projections, journal)
      await journal.report('op-1', 'two', { data: { two: 2 } })
      await caughtUp(projections, journal)
      expect(await parked(projections)).toEqual([['operation-op-1', 1n, 'refused_by_database']])
      // Too early: it is refused as before, and nothing else waits for it.
      await journal.retry('op-1')
      await journal.report('op-2', 'seen')
      await caughtUp(projections, journal)
      expect(await parked(projections)).toEqual([['operation-op-1', 1n, 'refused_by_database']])
      expect(await shown(projections, 'op-2')).toMatchObject({ status: 'seen' })
    } finally {
      await database.admin.query('ALTER TABLE operations DROP CONSTRAINT refused')
    }
    await journal.retry('op-1')
    await caughtUp(projections, journal)
    expect(await shown(projections, 'op-1')).toMatchObject({ status: 'two', data: { one: 1, two: 2 }, parked: null })
    await journal.report('op-1', 'three')
    await caughtUp(projections, journal)
    expect(await shown(projections, 'op-1')).toMatchObject({ status: 'three', revision: 3n })
    await expectSameAnew(projections, journal)
  })

  it('of what still cannot be folded leaves it parked where it was', async () => {
    const journal = new Journal(createMemoryEventLog())
    await journal.open('op-1')
    await journal.poison('op-1')
    await journal.report('op-1', 'seen')
    const projections = start(journal.log)
    await caughtUp(projections, journal)
    const rows = await allRows(database.admin)
    await journal.retry('op-1')
    await journal.retry('nobody')
    await caughtUp(projections, journal)
    expect((await allRows(database.admin)).parked).toEqual(rows.parked)
    expect(projections.projector.status().parked).toBe(1)
    await expectSameAnew(projections, journal)
  })

  it('stops before an event of a newer schema that the stream got while it was set aside', async () => {
    const journal = new Journal(createMemoryEventLog())
    await journal.open('op-1')
    await journal.poison('op-1')
    const stream = 'operation-op-1'
    const newer = { id: crypto.randomUUID(), type: 'Future', data: '{}', metadata: '{"schemaVersion":99}' }
    await journal.append([{ stream, expectedRevision: 1n, events: [newer] }])
    const { position } = journal
    await journal.skip('op-1', 1n)
    await journal.open('op-2')
    const projections = start(journal.log)
    await eventually('it stops', () => (projections.projector.status().phase === 'newer_schema' ? true : undefined))
    expect(projections.projector.status()).toMatchObject({ position, parked: 1 })
    expect(await parked(projections)).toEqual([[stream, 1n, 'malformed_event']])
  })
})

describe('the stream of what operators did', () => {
  it('stops nothing when somebody has written nonsense into it', async () => {
    const journal = new Journal(createMemoryEventLog())
    await journal.open('op-1')
    await journal.poison('op-1')
    await journal.skip('op-1', 1n)
    const nonsense = { type: 'EventSkipped', data: '{"stream":1}' }
    await journal.append([await nextInChain(journal.log, interventionStream, nonsense)])
    await journal.open('op-2')
    const projections = start(journal.log)
    await caughtUp(projections, journal)
    expect(await parked(projections)).toEqual([[interventionStream, 1n, 'malformed_event']])
    expect(await shown(projections, 'op-1')).toMatchObject({ parked: null })
    await expectSameAnew(projections, journal)
  })
})

it('knows of very many parked streams after a take-over, read some at a time', async () => {
  const journal = new Journal(createMemoryEventLog())
  const first = start(journal.log)
  await journal.open('op-1')
  await caughtUp(first, journal)
  await first.close()
  // More than two pages of them, one in ten tampered with.
  await database.admin.query(`
    INSERT INTO parked (stream, revision, position, reason, detail)
    SELECT 'operation-old-' || n, 0, 1, CASE WHEN n % 10 = 0 THEN 'tampered' ELSE 'unknown_pipeline' END, ''
    FROM generate_series(1, 12000) n`)
  const second = start(journal.log)
  await journal.report('op-1', 'late')
  await caughtUp(second, journal)
  expect(second.projector.status()).toMatchObject({ parked: 12_000, tampered: 1_200 })
  // Its events are passed by; it is not parked a second time.
  await journal.open('old-11999')
  await journal.open('op-2')
  await caughtUp(second, journal)
  expect(second.projector.status()).toMatchObject({ phase: 'live', parked: 12_000 })
  await database.admin.query('DELETE FROM parked')
})

it('counts parked streams as they come and go', () => {
  const streams = new ParkedStreams()
  streams.park({ stream: 'a', revision: 1n, reason: 'tampered' })
  streams.park({ stream: 'b', revision: 2n, reason: 'malformed_event' })
  streams.park({ stream: 'b', revision: 3n, reason: 'tampered' })
  expect([streams.size, streams.tampered, streams.revisionOf('b')]).toEqual([2, 2, 3n])
  streams.park({ stream: 'a', revision: 1n, reason: 'fold_failed' })
  streams.unpark('b')
  streams.unpark('c')
  expect([streams.size, streams.tampered, streams.has('b'), streams.revisionOf('b')]).toEqual([1, 0, false, undefined])
  streams.clear()
  expect([streams.size, streams.tampered]).toEqual([0, 0])
})
