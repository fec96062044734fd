import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import type { OperationState } from '../../src/operation/state.ts'
import { createProjections, type Projections } from '../../src/projections/projections.ts'
import { estimateStatement, pageStatement, type Way } from '../../src/projections/queries/listQuery.ts'
import { type OperationQuery, placeValue } from '../../src/projections/readModel.ts'
import { patienceMs } from '../support/patience.ts'
import { Journal } from './support/journal.ts'
import { writeListHistory } from './support/listHistory.ts'
import { expectedIds, placeOf } from './support/listModel.ts'
import { createReadModelDatabase, type ReadModelDatabase } from './support/readModelDatabase.ts'

let database: ReadModelDatabase
let projections: Projections
let states: readonly OperationState[]

beforeAll(async () => {
  database = await createReadModelDatabase()
  const journal = new Journal(createMemoryEventLog())
  await writeListHistory(journal)
  const { connectionString, role } = database
  projections = createProjections({ connectionString, role, log: journal.log })
  projections.projector.start()
  expect(await projections.readModel.waitFor(journal.position, patienceMs)).toBe(true)
  states = [...journal.states.values()]
})
afterAll(async () => {
  await projections.close()
  await database.drop()
})

const sorts = ['-updatedAt', 'updatedAt', 'id', '-openedAt', 'since'] as const

function queries(): fc.Arbitrary<OperationQuery> {
  const times = [
    ...new Set(
      states.flatMap((state) => [
        state.openedAt,
        state.updatedAt,
        ...Object.values(state.tracks).flatMap(({ since, heardAt }) => [since ?? [], heardAt ?? []].flat()),
      ]),
    ),
  ]
  const some = (...values: string[]) =>
    fc.oneof(fc.constantFrom(...values), fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 }))
  const filters = {
    pipeline: some('any', 'invoice', 'linear', 'checks', 'none'),
    track: fc.constantFrom('main', 'fraud', 'fraud', 'review', 'none'),
    status: some('new', 'read', 'status1', 'status2', 'done', 'queued', 'suspect', 'passed', 'none'),
    state: some('active', 'succeeded', 'failed', 'none'),
    held: fc.boolean(),
    blocked: fc.boolean(),
    anyTrack: fc.constant('failed' as const),
    idPrefix: fc.constantFrom('', 'op', 'op-1', 'x', 'xc', 'none'),
    theme: fc.constantFrom('red', 'blue', 'none'),
    metadata: fc.constantFrom<Record<string, string>>(
      { tenant: 'a' },
      { tenant: 'b', priority: '3' },
      { priority: '3' },
      { urgent: 'true' },
      { rate: '1e+21' },
      { nested: 'a' },
      { tenant: 'none' },
    ),
    updatedAfter: fc.constantFrom(...times),
    updatedBefore: fc.constantFrom(...times),
    sinceAfter: fc.constantFrom(...times),
    sinceBefore: fc.constantFrom(...times),
    heardBefore: fc.constantFrom(...times),
    last: fc.constantFrom(...states),
  }
  const names = Object.keys(filters)
  return fc
    .record({
      all: fc.record(filters),
      // With all of them at once hardly anything would be found.
      asked: fc.uniqueArray(fc.constantFrom(...names), { maxLength: 5 }),
      sort: fc.constantFrom(...sorts),
      pageSize: fc.constantFrom(1, 2, 7, 30, 1_000),
    })
    .map(({ all, asked, sort, pageSize }) => {
      const chosen: Partial<typeof all> = Object.fromEntries(
        Object.entries(all).filter(([name]) => asked.includes(name)),
      )
      const { last, ...filter } = chosen
      const query: OperationQuery = { ...filter, sort, pageSize }
      return last === undefined ? query : { ...query, after: placeOf(query, last) }
    })
}

/** Reads all pages, each after the last row of the one before. */
async function allPages(query: OperationQuery): Promise<string[]> {
  const ids: string[] = []
  let after: { readonly value: string; readonly id: string } | undefined
  for (;;) {
    const page: OperationQuery = after === undefined ? query : { ...query, after }
    const { value: rows } = await projections.readModel.operations(page)
    ids.push(...rows.map((row) => row.id))
    const last = rows.at(-1)
    if (last === undefined || rows.length < query.pageSize) return ids
    after = { value: placeValue(query.sort, last), id: last.id }
  }
}

describe('the list of operations', () => {
  it('answers what the filters, the order and the page say, whichever way it is found', async () => {
    await fc.assert(
      fc.asyncProperty(queries(), async (query) => {
        const wanted = expectedIds(states, query)
        const { value: rows } = await projections.readModel.operations(query)
        expect(rows.map((row) => row.id)).toEqual(wanted)
        const { sort, track } = query
        const ways: Way[] = ['collect', 'collectShapes']
        if (sort === 'id') ways.push('byId')
        else ways.push('walk')
        if (sort !== 'id' && (sort !== 'since' || track === undefined || track === 'main')) ways.push('narrow')
        if (query.sinceAfter !== undefined || query.sinceBefore !== undefined) ways.push('collectSince')
        for (const way of ways) {
          const { text, values } = pageStatement(query, way)
          const found = await database.admin.query<{ id: string | null }>(text, [...values])
          expect(
            found.rows.flatMap((row) => row.id ?? []),
            way,
          ).toEqual(wanted)
        }
      }),
      { numRuns: 400 },
    )
  })

  it('gives each operation once over all pages, also those whose track has no status', async () => {
    for (const sort of sorts) {
      for (const pageSize of [1, 7, 1_000]) {
        const ids = await allPages({ sort, pageSize })
        expect(ids).toEqual(expectedIds(states, { sort, pageSize: 1_000 }))
        expect(ids).toHaveLength(states.length)
      }
    }
    for (const pageSize of [1, 7]) {
      const ids = await allPages({ sort: 'since', pageSize, track: 'fraud' })
      expect(ids).toEqual(expectedIds(states, { sort: 'since', pageSize: 1_000, track: 'fraud' }))
      expect(ids).toHaveLength(states.filter(({ tracks }) => tracks.fraud !== undefined).length)
    }
  })

  it('is tested on operations that match, and on some that do not', () => {
    const some = { sort: 'id', pageSize: 1_000 } as const
    const late = states
      .map(({ updatedAt }) => updatedAt)
      .sort()
      .at(-1)
    const filters: Partial<OperationQuery>[] = [{ held: true }, { blocked: true }, { anyTrack: 'failed' }]
    for (const filter of [...filters, ...(late === undefined ? [] : [{ heardBefore: late }, { sinceBefore: late }])]) {
      const count = expectedIds(states, { ...some, ...filter }).length
      expect(count, JSON.stringify(filter)).toBeGreaterThan(0)
      expect(count, JSON.stringify(filter)).toBeLessThan(states.length)
    }
  })

  it('has the checkpoint beside an empty page, too', async () => {
    const { value, position } = await projections.readModel.operations({ sort: 'id', pageSize: 5, pipeline: 'none' })
    expect(value).toEqual([])
    expect(position).toBe(projections.readModel.position())
    expect(position).toBeGreaterThan(0n)
  })

  it('asks the planner only about filters that the shapes do not answer', () => {
    const plain = {
      sort: '-updatedAt',
      pageSize: 1,
      pipeline: 'any',
      status: 's',
      updatedAfter: '2026-01-01T00:00:00Z',
    } as const
    expect(estimateStatement(plain)).toBeNull()
    expect(estimateStatement({ ...plain, theme: 'red' })).not.toBeNull()
    expect(estimateStatement({ ...plain, sort: '-openedAt' })).not.toBeNull()
  })
})
