import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { EventLog } from '../../src/eventlog/eventLog.ts'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { operationBody } from '../../src/operation/view.ts'
import { createProjections, type Projections, type ProjectionsSettings } from '../../src/projections/projections.ts'
import type { ProjectorPhase } from '../../src/projections/readModel.ts'
import { nextInChain } from '../operation/support/nextInChain.ts'
import { patienceMs } from '../support/patience.ts'
import { eventually } from './support/eventually.ts'
import { Journal } from './support/journal.ts'
import { truncatedLog } from './support/logs.ts'
import { invoice, linear } from './support/pipelines.ts'
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

async function caughtUp({ readModel, projector }: Projections, position: bigint): Promise<void> {
  if (!(await readModel.waitFor(position, patienceMs))) throw new Error(JSON.stringify(projector.status().phase))
}

function phase({ projector }: Projections, wanted: ProjectorPhase): Promise<true> {
  return eventually(`phase ${wanted}`, () => (projector.status().phase === wanted ? true : undefined))
}

/** An event that cannot be folded, at the stream's end. */
async function spoil(journal: Journal, stream: string): Promise<void> {
  await journal.append([await nextInChain(journal.log, stream)])
}

/** An event that no node writes, at the stream's end. */
async function appendRaw(journal: Journal, stream: string, event: { type?: string; data?: string; metadata?: string }) {
  const last = (await journal.log.readStream(stream, { direction: 'backwards', maxCount: 1 })).at(0)
  await journal.append([
    {
      stream,
      expectedRevision: last?.revision ?? 'noStream',
      events: [{ id: crypto.randomUUID(), type: 'Nonsense', data: '{}', metadata: '{}', ...event }],
    },
  ])
}

describe('what the projector folds', () => {
  it('is read as the state the decider kept, with its position', async () => {
    const journal = new Journal(createMemoryEventLog())
    await journal.define('invoice', invoice)
    await journal.open('op-1', { pipeline: 'invoice', theme: 'a theme', data: { a: { b: [1, 'ü', null] } } })
    await journal.report('op-1', 'paid', { track: 'main', data: { data: {}, metadata: {}, revision: 1 } })
    await journal.report('op-1', 'read', { track: 'main', sequence: 4, metadata: { tenant: 'x' } })
    await journal.open('op-2', { data: { __proto__: null, 'line\nbreak': 'tab\tnul ' } })
    const { readModel } = start(journal.log)
    expect(await readModel.waitFor(journal.position, patienceMs)).toBe(true)
    for (const [id, state] of journal.states) {
      const { value, position } = await readModel.operation(id)
      expect(value).toEqual({
        id,
        body: operationBody(state),
        revision: state.revision,
        changedRevision: state.changedRevision,
        position: journal.positions.get(id),
        updatedAt: state.updatedAt,
        openedAt: state.openedAt,
        parked: null,
      })
      expect(position).toBe(journal.position)
    }
    expect(await readModel.operation('op-3')).toEqual({ value: null, parked: null, position: journal.position })
  })

  it('keeps a large document as it is stored when a report leaves it alone', async () => {
    const journal = new Journal(createMemoryEventLog())
    // Nothing that compresses away: it is stored out of line.
    const text = Array.from({ length: 40_000 }, (_, index) => (index * 7919).toString(36)).join('')
    await journal.open('op-1', { data: { text } })
    await journal.open('op-2', { data: { text: `${text}2` } })
    const projections = start(journal.log)
    await caughtUp(projections, journal.position)
    const stored = async (): Promise<unknown> => {
      const { rows } = await database.admin.query(
        'SELECT id, pg_column_toast_chunk_id(data)::text AS chunk FROM operations ORDER BY id',
      )
      return rows
    }
    const before = await stored()
    expect(before).toEqual([
      { id: 'op-1', chunk: expect.any(String) },
      { id: 'op-2', chunk: expect.any(String) },
    ])
    await journal.report('op-1', 'seen')
    await journal.report('op-2', 'seen', { data: { more: 1 } })
    await caughtUp(projections, journal.position)
    const after = await stored()
    expect(after).toMatchObject([Array.isArray(before) ? before[0] : null, {}])
    expect(after).not.toEqual(before)
  })

  it('holds with a memory for one operation only, each read back from its row', async () => {
    const journal = new Journal(createMemoryEventLog())
    await journal.define('linear', linear)
    for (let index = 0; index < 10; index += 1) await journal.open(`op-${index}`, { pipeline: 'linear' })
    const projections = start(journal.log, { cacheBytesMax: 1 })
    await caughtUp(projections, journal.position)
    for (const status of ['status1', 'status2', 'done']) {
      for (let index = 0; index < 10; index += 1) {
        await journal.report(`op-${index}`, status, { data: { [status]: index } })
      }
      await caughtUp(projections, journal.position)
    }
    for (const [id, state] of journal.states) {
      expect((await projections.readModel.operation(id)).value?.body).toBe(operationBody(state))
    }
    expect((await projections.readModel.stats()).value.pipelines).toEqual({
      linear: { operations: 10, states: { succeeded: 10 }, tracks: { main: { done: 10 } } },
    })
  })

  it('counts by pipeline, state, track and status, and names the newest definitions', async () => {
    const journal = new Journal(createMemoryEventLog())
    await journal.define('invoice', invoice)
    await journal.open('op-1', { pipeline: 'invoice' })
    await journal.define('invoice', { ...invoice, outOfOrder: 'reject' })
    await journal.open('op-2', { pipeline: 'invoice' })
    await journal.report('op-2', 'read', { track: 'main' })
    await journal.open('op-3')
    await journal.report('op-3', '__proto__', { final: 'failed' })
    const projections = start(journal.log)
    await caughtUp(projections, journal.position)
    const { value } = await projections.readModel.stats()
    expect(value.parked).toBe(0)
    expect(JSON.parse(JSON.stringify(value.pipelines))).toEqual(
      JSON.parse(
        `{"any": {"operations": 1, "states": {"failed": 1}, "tracks": {"main": {"__proto__": 1}}},
          "invoice": {"operations": 2, "states": {"active": 2},
                      "tracks": {"main": {"new": 1, "read": 1}, "fraud": {"queued": 1}}}}`,
      ),
    )
    expect((await projections.readModel.pipelines(100)).value).toEqual([
      { name: 'invoice', version: 2, definition: journal.pipelines.get('invoice')?.definition, definedAt: journal.now },
    ])
  })
})

describe('what the projector cannot fold', () => {
  it('parks its stream, says so on the row and in the counts, and goes on with all others', async () => {
    const journal = new Journal(createMemoryEventLog())
    await journal.open('op-bad', { data: { kept: true } })
    await journal.open('op-good')
    await spoil(journal, 'operation-op-bad')
    await journal.report('op-good', 'seen')
    await spoil(journal, 'operation-op-bad')
    await appendRaw(journal, 'operation-op-first', { metadata: '[]' })
    await appendRaw(journal, 'neither-of-ours', { data: 'null' })
    const projections = start(journal.log)
    await caughtUp(projections, journal.position)

    const bad = await projections.readModel.operation('op-bad')
    expect(bad.position).toBe(journal.position)
    expect(bad.value).toMatchObject({ revision: 0n, parked: { revision: 1n, reason: 'malformed_event' } })
    expect(JSON.parse(bad.value?.body ?? '')).toMatchObject({ data: { kept: true } })
    expect((await projections.readModel.operation('op-first')).value).toBeNull()
    expect((await projections.readModel.operation('op-good')).value).toMatchObject({ revision: 1n, parked: null })
    expect((await projections.readModel.stats()).value.parked).toBe(2)
    const listed = await projections.readModel.operations({ sort: 'id', pageSize: 10 })
    expect(listed.value.map((row) => [row.id, row.parked?.reason])).toEqual([
      ['op-bad', 'malformed_event'],
      ['op-good', undefined],
    ])
    const { value: streams } = await projections.readModel.parkedStreams(10)
    expect(streams).toMatchObject([
      { stream: 'operation-op-bad', revision: 1n, reason: 'malformed_event' },
      { stream: 'operation-op-first', revision: 0n, reason: 'tampered' },
    ])
    expect((await projections.readModel.parkedStreams(1, 'operation-op-bad')).value).toEqual(streams.slice(1))
    expect(projections.projector.status()).toMatchObject({ phase: 'live', parked: 2, error: null })
  })

  it('stays parked after a restart, and after a rebuild by the same fold', async () => {
    const journal = new Journal(createMemoryEventLog())
    await journal.open('op-bad')
    await spoil(journal, 'operation-op-bad')
    const first = start(journal.log)
    await caughtUp(first, journal.position)
    const rows = await allRows(database.admin)
    await first.close()
    await spoil(journal, 'operation-op-bad')
    const second = start(journal.log)
    await caughtUp(second, journal.position)
    expect(await allRows(database.admin)).toEqual(rows)
    await second.projector.rebuild()
    expect(await allRows(database.admin)).toEqual(rows)
  })

  it('parks what was opened with a pipeline that the log does not define, or that is parked itself', async () => {
    const journal = new Journal(createMemoryEventLog())
    await journal.define('linear', linear)
    await journal.open('op-1', { pipeline: 'linear' })
    const events = await journal.log.readStream('operation-op-1', { maxCount: 1 })
    const other = new Journal(createMemoryEventLog())
    await spoil(other, 'pipeline-linear')
    await other.append([{ stream: 'operation-op-1', expectedRevision: 'noStream', events }])
    const projections = start(other.log)
    await caughtUp(projections, other.position)
    expect((await projections.readModel.parkedStreams(10)).value).toMatchObject([
      { stream: 'operation-op-1', reason: 'unknown_pipeline' },
      { stream: 'pipeline-linear', reason: 'malformed_event' },
    ])
  })

  it('stops before an event of a newer schema, without parking it, and lets another node have the projection', async () => {
    const journal = new Journal(createMemoryEventLog())
    await journal.open('op-1')
    const before = journal.position
    await appendRaw(journal, 'operation-op-1', { type: 'FromTheFuture', metadata: '{"schemaVersion":99}' })
    await journal.open('op-2')
    const projections = start(journal.log)
    await phase(projections, 'newer_schema')
    expect(projections.projector.status()).toMatchObject({ position: before, parked: 0, error: expect.any(String) })
    expect((await projections.readModel.operation('op-1')).value).toMatchObject({ revision: 0n, parked: null })
    expect((await projections.readModel.operation('op-2')).value).toBeNull()
    expect((await projections.readModel.parkedStreams(10)).value).toEqual([])

    // The lock is free: a node that takes the events up to there as the whole log has nothing to wait for.
    const newer = start(truncatedLog(journal.log, before))
    await phase(newer, 'live')
  })

  it('parks what the database refuses, and nothing beside it', async () => {
    const journal = new Journal(createMemoryEventLog())
    for (let index = 0; index < 20; index += 1) await journal.open(`op-${index}`)
    await database.admin.query(
      "ALTER TABLE operations ADD CONSTRAINT refused CHECK (id <> 'op-7' AND NOT (id = 'op-13' AND revision > 0))",
    )
    try {
      await journal.report('op-13', 'seen')
      await journal.report('op-2', 'seen')
      const projections = start(journal.log)
      await caughtUp(projections, journal.position)
      const { value: streams } = await projections.readModel.parkedStreams(10)
      expect(streams.map(({ stream, reason }) => [stream, reason])).toEqual([
        ['operation-op-13', 'refused_by_database'],
        ['operation-op-7', 'refused_by_database'],
      ])
      expect((await projections.readModel.stats()).value).toMatchObject({
        parked: 2,
        pipelines: { any: { operations: 19 } },
      })
      expect((await projections.readModel.operation('op-2')).value).toMatchObject({ revision: 1n })
      // Up to the event that is refused.
      expect((await projections.readModel.operation('op-13')).value).toMatchObject({
        revision: 0n,
        parked: { revision: 1n },
      })

      // A rebuild meets the same refusals, at the same events.
      const rows = await allRows(database.admin)
      await projections.projector.rebuild()
      expect(await allRows(database.admin)).toEqual(rows)
    } finally {
      await database.admin.query('ALTER TABLE operations DROP CONSTRAINT refused')
    }
  })

  it('waits for the database to come back, and parks nothing for it', async () => {
    const journal = new Journal(createMemoryEventLog())
    await journal.open('op-1')
    await database.admin.query('ALTER TABLE shapes RENAME TO shapes_away')
    const projections = start(journal.log)
    await phase(projections, 'retrying')
    expect(projections.projector.status().error).toContain('shapes')
    await database.admin.query('ALTER TABLE shapes_away RENAME TO shapes')
    await caughtUp(projections, journal.position)
    expect(projections.projector.status()).toMatchObject({ phase: 'live', parked: 0 })
  })

  it('refuses to go on from a log that ends before the checkpoint', async () => {
    const journal = new Journal(createMemoryEventLog())
    await journal.open('op-1')
    await journal.open('op-2')
    const first = start(journal.log)
    await caughtUp(first, journal.position)
    await first.close()
    const rows = await allRows(database.admin)
    const second = start(truncatedLog(journal.log, 1n))
    await phase(second, 'log_behind')
    expect(await allRows(database.admin)).toEqual(rows)
  })
})

describe('who reads along', () => {
  it('never sees rows of another log, nor waits for its positions', async () => {
    const before = new Journal(createMemoryEventLog())
    for (let index = 0; index < 5; index += 1) await before.open(`op-${index}`)
    const first = start(before.log)
    await caughtUp(first, before.position)
    await first.close()
    const { connectionString, role } = database
    // No projector has dropped the rows yet.
    const idle = createProjections({ connectionString, role, log: createMemoryEventLog() })
    opened.push(idle)
    await expect(idle.readModel.operation('op-1')).rejects.toThrow(/another log/)
    await expect(idle.readModel.stats()).rejects.toThrow(/another log/)
    expect(await idle.readModel.waitFor(1n, 60)).toBe(false)
  })

  it('sees the old rows until a rebuild is done, never a part of the new ones', async () => {
    const journal = new Journal(createMemoryEventLog())
    for (let index = 0; index < 50; index += 1) await journal.open(`op-${index}`)
    // The rebuild folds ten events at a time, and stops in the midst of them until it may go on.
    let halfway: () => void = () => undefined
    let goOn: () => void = () => undefined
    const atHalf = new Promise<void>((resolve) => {
      halfway = resolve
    })
    const released = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const slow: EventLog = {
      ...journal.log,
      async readAll(options) {
        if (options.after >= 30n) {
          halfway()
          await released
        }
        return journal.log.readAll({ ...options, maxCount: 10 })
      },
    }
    const projections = start(slow)
    await caughtUp(projections, journal.position)
    await database.admin.query('UPDATE operations SET revision = 77')
    const revisions = async (): Promise<bigint[]> => {
      const { value, position } = await projections.readModel.operations({ sort: 'id', pageSize: 100 })
      expect(position).toBe(journal.position)
      return value.map((row) => row.revision)
    }
    const rebuilt = projections.projector.rebuild()
    await atHalf
    expect(await revisions()).toEqual(Array.from({ length: 50 }, () => 77n))
    goOn()
    await rebuilt
    expect(await revisions()).toEqual(Array.from({ length: 50 }, () => 0n))
  })

  it('waits for a position until it is there, or its time is up', async () => {
    const journal = new Journal(createMemoryEventLog())
    const projections = start(journal.log, { windowMs: 10_000 })
    await phase(projections, 'live')
    expect(await projections.readModel.waitFor(0n, 0)).toBe(true)
    expect(await projections.readModel.waitFor(1n, 0)).toBe(false)
    expect(await projections.readModel.waitFor(1n, 10)).toBe(false)
    await journal.open('op-1')
    await caughtUp(projections, 1n)
    // The window of ten seconds is cut short for who waits.
    const waits = projections.readModel.waitFor(2n, patienceMs)
    await journal.open('op-2')
    expect(await waits).toBe(true)
    expect(projections.readModel.position()).toBe(2n)
  })

  it('hears from a node that projects elsewhere', async () => {
    const journal = new Journal(createMemoryEventLog())
    const projecting = start(journal.log)
    await phase(projecting, 'live')
    const { connectionString, role } = database
    const reading = createProjections({ connectionString, role, log: journal.log })
    opened.push(reading)
    const waits = Promise.all([1n, 2n, 3n].map((position) => reading.readModel.waitFor(position, patienceMs)))
    await journal.open('op-1')
    await journal.open('op-2')
    await journal.open('op-3')
    expect(await waits).toEqual([true, true, true])
  })

  it('is told the lag while the read model is behind, and none once it has caught up', async () => {
    const journal = new Journal(createMemoryEventLog())
    const projections = start(journal.log)
    await phase(projections, 'live')
    expect(projections.projector.lagMs()).toBe(0)
    await database.withTableLocked('shapes', async () => {
      await journal.open('op-1')
      const lag = await eventually('the lag grows', () => {
        const lagMs = projections.projector.lagMs()
        return lagMs > 20 ? lagMs : undefined
      })
      expect(lag).toBeGreaterThan(20)
    })
    await caughtUp(projections, journal.position)
    await eventually('no lag', () => (projections.projector.lagMs() === 0 ? true : undefined))
  })
})
