import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { EventLog } from '../../src/eventlog/eventLog.ts'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { Document } from '../../src/operation/document.ts'
import type { ConfirmedState } from '../../src/projections/folding.ts'
import type { Projections } from '../../src/projections/projections.ts'
import { nextInChain } from '../operation/support/nextInChain.ts'
import { Journal } from '../projections/support/journal.ts'
import { invoice, linear } from '../projections/support/pipelines.ts'
import { createReadModelDatabase, type ReadModelDatabase } from '../projections/support/readModelDatabase.ts'
import { type Auditing, auditing, caughtUp, project } from './support/auditing.ts'

let database: ReadModelDatabase
const opened: Projections[] = []

beforeAll(async () => {
  database = await createReadModelDatabase()
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map((projections) => projections.close()))
})
afterAll(() => database.drop())

function start(log: EventLog, settings: Parameters<typeof project>[2] = {}): Projections {
  const projections = project(database, log, settings)
  opened.push(projections)
  return projections
}

/** Some of everything: pipelines in two versions, parallel tracks, held, ignored and released reports, documents, a theme. */
async function history(journal: Journal, names: readonly string[]): Promise<void> {
  if (!journal.pipelines.has('invoice')) await journal.define('invoice', invoice)
  await journal.define('linear', linear)
  for (const [index, name] of names.entries()) {
    journal.pass(7)
    const pipeline = ['invoice', 'linear', 'any'][index % 3] ?? 'any'
    await journal.open(name, {
      pipeline,
      theme: `theme ${index % 2}`,
      data: { index },
      metadata: { tenant: 'a', n: index },
    })
    if (pipeline === 'invoice') {
      await journal.report(name, 'paid', { track: 'main', data: { late: true } })
      await journal.report(name, 'read', { track: 'main', sequence: 4, metadata: { tenant: 'b' } })
      if (index % 2 === 0) await journal.report(name, 'passed', { track: 'fraud' })
    } else {
      await journal.report(name, 'status2', { data: { seen: [1, 'ü', null] } })
      await journal.report(name, 'status1', { data: { seen: 'late' } })
    }
  }
}

function named(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `op-${index + 1}`)
}

async function folded(count = 6): Promise<{ journal: Journal; projections: Projections }> {
  const journal = new Journal(createMemoryEventLog())
  await history(journal, named(count))
  const projections = start(journal.log)
  await caughtUp(projections, journal.position)
  return { journal, projections }
}

/** Ends the stream with an event that cannot be folded: it is parked. */
async function spoil(journal: Journal, stream: string): Promise<void> {
  await journal.append([await nextInChain(journal.log, stream)])
}

function expectClean({ audit, lines }: Auditing): void {
  const { drifted, drifting, skipped } = audit.status()
  expect({ drifted, drifting, skipped, lines }).toEqual({
    drifted: { operation: 0, count: 0 },
    drifting: 0,
    skipped: { too_long: 0, not_comparable: 0, unconfirmed: 0, unavailable: 0 },
    lines: [],
  })
}

describe('a read model that is what the log says', () => {
  it('shows no drift over many samples', async () => {
    const { journal, projections } = await folded(30)
    const sampler = auditing(journal.log, projections)
    await sampler.samples(400)
    expectClean(sampler)
    const { checked } = sampler.audit.status()
    expect(checked.operation + checked.count).toBe(400)
    expect(checked.count).toBeGreaterThan(5)
  })

  it('shows none while it is written, in whatever batches', async () => {
    const { journal, projections } = await folded(10)
    await projections.close()
    const slow = start(journal.log, { batchEventsMax: 2 })
    const sampler = auditing(journal.log, slow)
    let writing = true
    const samples = (async () => {
      while (writing) await sampler.audit.sample()
    })()
    for (let round = 0; round < 40; round += 1) {
      journal.pass(5)
      for (const name of named(10)) await journal.report(name, `status${round % 3}`, { data: { round } })
      await journal.open(`late-${round}`)
    }
    await caughtUp(slow, journal.position)
    writing = false
    await samples
    expectClean(sampler)
    expect(sampler.audit.status().checked.operation).toBeGreaterThan(10)
  })

  it('shows none while it is rebuilt, and while another log takes its place', async () => {
    const { journal, projections } = await folded(20)
    const sampler = auditing(journal.log, projections)
    let working = true
    const samples = (async () => {
      while (working) await sampler.audit.sample()
    })()
    for (let time = 0; time < 15; time += 1) await projections.projector.rebuild()
    working = false
    await samples
    expect(sampler.audit.status()).toMatchObject({ drifted: { operation: 0, count: 0 }, drifting: 0 })
    expect(sampler.audit.status().checked.operation).toBeGreaterThan(10)

    working = true
    const onwards = (async () => {
      while (working) await sampler.audit.sample()
    })()
    await projections.projector.stop()
    for (let time = 0; time < 4; time += 1) {
      await database.admin.query("UPDATE checkpoints SET log_id = 'another'")
      const next = start(journal.log, { batchEventsMax: 5 })
      await caughtUp(next, journal.position)
      await next.close()
    }
    working = false
    await onwards
    expect(sampler.audit.status()).toMatchObject({ drifted: { operation: 0, count: 0 }, drifting: 0 })
  })

  it('has parked streams where they are parked', async () => {
    const { journal, projections } = await folded(4)
    await spoil(journal, 'operation-op-1')
    await spoil(journal, 'operation-never-opened')
    await journal.report('op-2', 'status9')
    await caughtUp(projections, journal.position)
    const sampler = auditing(journal.log, projections)
    await sampler.samples(200)
    expectClean(sampler)
  })

  it('is no matter of streams of other kinds, nor of names that no command gives', async () => {
    const { journal, projections } = await folded(2)
    await spoil(journal, 'operation-with space')
    await spoil(journal, 'something else')
    await caughtUp(projections, journal.position)
    const sampler = auditing(journal.log, projections)
    await sampler.samples(200)
    expectClean(sampler)
  })

  it('is not judged while the rows are those of another log or of another fold', async () => {
    const { journal, projections } = await folded(2)
    await projections.projector.stop()
    for (const change of ["log_id = 'another'", `log_id = '${journal.log.logId}', fold_version = fold_version - 1`]) {
      await database.admin.query(`UPDATE checkpoints SET ${change}`)
      await database.admin.query("UPDATE operations SET data = '{}'")
      const sampler = auditing(journal.log, projections)
      await sampler.samples(50)
      expect(sampler.audit.status()).toMatchObject({ checked: { operation: 0 }, drifting: 0 })
      expect(sampler.audit.status().skipped.not_comparable).toBeGreaterThan(10)
    }
  })
})

describe('drift', () => {
  async function expectDrift(planted: string, operation: string, fields: readonly string[]): Promise<void> {
    const { journal, projections } = await folded()
    await database.admin.query(planted)
    const sampler = auditing(journal.log, projections)
    await sampler.until(() => sampler.fieldsOf(operation) !== null)
    expect(sampler.fieldsOf(operation)).toEqual(fields)
    expect(sampler.audit.status().drifting).toBeGreaterThan(0)
  }

  it.each<[string, string, readonly string[]]>([
    ['data', `data = '{"index":1}'`, ['data']],
    ['data that is no JSON any more', `data = '{'`, ['data']],
    ['metadata', `metadata = '{}'`, ['metadata']],
    ['facets', 'facets = facets[2:]', ['facets']],
    ['no facets', 'facets = NULL', ['facets']],
    ['updated_at', 'updated_at = updated_at + 1', ['updated_at']],
    ['opened_at', 'opened_at = opened_at - 1', ['opened_at']],
    ['position', 'position = position - 1', ['position']],
    ['shape', 'shape = shape + 1', ['shape', 'shapes.pipeline', 'shapes.state', 'shapes.tracks', 'shapes.flags']],
    ['since_at', 'since_at = since_at - 1', ['since_at']],
    ['heard_at', 'heard_at = NULL', ['heard_at']],
    ['a member of the state', `state = replace(state, '"theme 1"', '"theme 2"')`, ['state.theme']],
    ['a stray member of the state', `state = replace(state, '"theme":', '"x":1,"theme":')`, ['state']],
    ['no state', `state = ''`, ['state']],
  ])('is found in a changed column: %s', async (_name, change, fields) => {
    await expectDrift(`UPDATE operations SET ${change} WHERE id = 'op-2'`, 'op-2', fields)
  })

  it('is found in a row that is gone', async () => {
    await expectDrift("DELETE FROM operations WHERE id = 'op-3'", 'op-3', ['revision'])
  })

  it('is found in a row that no stream stands behind', async () => {
    await expectDrift(
      `INSERT INTO operations SELECT 'invented', shape, updated_at, opened_at, revision, position, facets, state, data, metadata
       FROM operations WHERE id = 'op-2'`,
      'invented',
      ['revision'],
    )
  })

  it('is found in a row that is ahead of its stream', async () => {
    await expectDrift("UPDATE operations SET revision = revision + 1 WHERE id = 'op-2'", 'op-2', ['revision'])
  })

  it('is found in a stream that is said to be parked and is not', async () => {
    await expectDrift("INSERT INTO parked VALUES ('operation-op-2', 2, 9, 'fold_failed', '')", 'op-2', [
      'parked.revision',
      'parked.position',
    ])
  })

  it('is found in the definition that the projector would fold with', async () => {
    await expectDrift(
      `UPDATE pipelines SET definition = replace(definition::text, 'advance', 'reject')::json WHERE name = 'linear'`,
      'op-2',
      ['pipelines.definition'],
    )
  })

  it('is found in a count', async () => {
    const { journal, projections } = await folded()
    await database.admin.query(
      "UPDATE shapes SET operations = operations + 1 WHERE pipeline = 'any' AND operations > 0",
    )
    const sampler = auditing(journal.log, projections)
    await sampler.until(() => sampler.audit.status().drifted.count > 0)
    expect(sampler.lines).toMatchObject([
      {
        level: 'error',
        fields: { shape: expect.any(String), differences: [{ field: 'shapes.operations', row: '3', log: '2' }] },
      },
    ])
  })

  it('is found in a shape that is gone', async () => {
    await expectDrift("DELETE FROM shapes WHERE pipeline = 'any'", 'op-3', [
      'shapes.pipeline',
      'shapes.state',
      'shapes.tracks',
      'shapes.flags',
    ])
  })

  it.each(['blocked = NOT blocked', 'held = NOT held', 'failed = NOT failed', `since = 'none'`, `heard = 'none'`])(
    'is found in what a shape says: %s',
    async (change) => {
      await expectDrift(`UPDATE shapes SET ${change} WHERE pipeline = 'linear'`, 'op-2', ['shapes.flags'])
    },
  )

  it.each([
    ['is gone', 'DELETE FROM standings'],
    ['says another time', 'UPDATE standings SET since_at = since_at + 1'],
    ['says another standing', 'UPDATE standings SET standing = standing + 1'],
    ['is of a track that has none', `UPDATE standings SET track = 'main'`],
  ])('is found in a standing that %s', async (_name, change) => {
    await expectDrift(`${change} WHERE id = 'op-1'`, 'op-1', ['standings'])
  })

  it('is found in a row that stayed one revision back', async () => {
    const { journal, projections } = await folded()
    const { rows } = await database.admin.query("SELECT * FROM operations WHERE id = 'op-2'")
    await journal.report('op-2', 'done')
    await caughtUp(projections, journal.position)
    const { shape, updated_at, revision, position, facets, state, data, metadata } = rows[0]
    await database.admin.query(
      `UPDATE operations SET shape = $1, updated_at = $2, revision = $3, position = $4, facets = $5, state = $6, data = $7,
       metadata = $8 WHERE id = 'op-2'`,
      [shape, updated_at, revision, position, facets, state, data, metadata],
    )
    const sampler = auditing(journal.log, projections)
    await sampler.until(() => sampler.fieldsOf('op-2') !== null)
    expect(sampler.fieldsOf('op-2')).toContain('revision')
  })

  it('is found in a row that an event was left out of', async () => {
    const journal = new Journal(createMemoryEventLog())
    await history(journal, named(4))
    // The projector takes over a state without the document: the row has the revision, and not what the event said.
    const { log } = journal
    const confirmed: ConfirmedState = (operation) => {
      const state = journal.states.get(operation) ?? null
      return operation === 'op-2' && state !== null ? { ...state, data: Document.of({}) } : state
    }
    const projections = start(log, { confirmed })
    await caughtUp(projections, journal.position)
    const sampler = auditing(journal.log, projections)
    await sampler.until(() => sampler.fieldsOf('op-2') !== null)
    expect(sampler.fieldsOf('op-2')).toEqual(['data'])
  })

  it('is said once, without anything of the documents, and is over when the row is right again', async () => {
    const { journal, projections } = await folded()
    await database.admin.query(`UPDATE operations SET data = '{"secret":"hunter2"}' WHERE id = 'op-2'`)
    const sampler = auditing(journal.log, projections)
    await sampler.until(() => sampler.audit.status().drifting === 1)
    await sampler.samples(100)
    expect(sampler.audit.status()).toMatchObject({ drifted: { operation: 1 }, drifting: 1 })
    expect(sampler.lines).toEqual([
      {
        level: 'error',
        message: 'the read model is not what the log says',
        fields: {
          operation: 'op-2',
          differences: [
            {
              field: 'data',
              row: expect.stringMatching(/^sha256:[0-9a-f]{12}$/),
              log: expect.stringMatching(/^sha256:[0-9a-f]{12}$/),
            },
          ],
        },
      },
    ])
    await projections.projector.rebuild()
    await sampler.until(() => sampler.audit.status().drifting === 0)
    expect(sampler.lines.map(({ level }) => level)).toEqual(['error', 'info'])
    expect(sampler.audit.status().drifted.operation).toBe(1)
  })

  it('in every row is found on and on, beside what is known already', async () => {
    const { journal, projections } = await folded(8)
    await database.admin.query("UPDATE operations SET metadata = '[]'")
    const sampler = auditing(journal.log, projections)
    await sampler.until(() => sampler.audit.status().drifting === 8)
    expect(sampler.lines).toHaveLength(8)
  })

  it('that is gone when looked at again is no drift', async () => {
    const { journal, projections } = await folded()
    await database.admin.query("UPDATE operations SET data = '[]' WHERE id = 'op-2'")
    let pauses = 0
    const sampler = auditing(journal.log, projections, {
      pause: async () => {
        pauses += 1
        if (pauses === 2) await projections.projector.rebuild()
      },
    })
    await sampler.until(() => pauses === 2)
    expect(sampler.audit.status()).toMatchObject({
      drifted: { operation: 0 },
      drifting: 0,
      skipped: { unconfirmed: 1 },
    })
    expect(sampler.lines).toEqual([])
  })
})
