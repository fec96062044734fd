import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import type { JsonObject } from '../../src/operation/json.ts'
import type { OperationState } from '../../src/operation/state.ts'
import { estimateStatement, pageStatement, type Way } from '../../src/projections/listQuery.ts'
import { createProjections, type Projections } from '../../src/projections/projections.ts'
import type { OperationQuery } from '../../src/projections/readModel.ts'
import { patienceMs } from '../support/patience.ts'
import { Journal } from './support/journal.ts'
import { invoice, linear } from './support/pipelines.ts'
import { createReadModelDatabase, type ReadModelDatabase } from './support/readModelDatabase.ts'

let database: ReadModelDatabase
let projections: Projections
let states: readonly OperationState[]

/** Many operations with few different values, so that filters meet and orders tie. */
beforeAll(async () => {
  database = await createReadModelDatabase()
  const journal = new Journal(createMemoryEventLog())
  await journal.define('invoice', invoice)
  await journal.define('linear', linear)
  const themes = [null, 'red', 'blue', 'red or blue']
  const metadata: readonly JsonObject[] = [
    {},
    { tenant: 'a' },
    { tenant: 'b', priority: 3 },
    { tenant: 'a', priority: 3, urgent: true, nested: { tenant: 'a' } },
    { priority: '3', rate: 1e21 },
  ]
  for (let index = 0; index < 90; index += 1) {
    const id = `${['op', 'op-1', 'x'][index % 3]}${String.fromCharCode(97 + (index % 26))}${index}`
    const pipeline = ['any', 'invoice', 'linear'][(index * 7) % 3] ?? 'any'
    await journal.open(id, { pipeline, theme: themes[index % 4] ?? null, metadata: metadata[index % 5] ?? {} })
    if (index % 4 === 0) journal.pass(1)
    const track = pipeline === 'invoice' ? { track: 'main' } : {}
    const first = { any: 'status1', invoice: 'read', linear: 'status1' }[pipeline]
    if (index % 2 === 0 && first !== undefined) await journal.report(id, first, track)
    if (index % 6 === 0 && pipeline === 'linear') await journal.report(id, 'done')
    if (index % 10 === 0 && pipeline === 'invoice') await journal.report(id, 'suspect', { track: 'fraud' })
  }
  for (const id of [...journal.states.keys()].filter((_, index) => index % 7 === 0)) {
    journal.pass(index(id))
    await journal.report(id, 'status2', { track: 'main' })
  }
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

function index(id: string): number {
  return id.length % 3
}

function sortValue(
  sort: OperationQuery['sort'],
  row: { readonly id: string; readonly openedAt: string; readonly updatedAt: string },
): string {
  return sort === 'id' ? row.id : sort === '-openedAt' ? row.openedAt : row.updatedAt
}

/** What a list means, written plainly. */
function expectedIds(query: OperationQuery): string[] {
  const compare = (left: readonly [string, string], right: readonly [string, string]): number => {
    const order =
      left[0] === right[0] ? (left[1] < right[1] ? -1 : left[1] > right[1] ? 1 : 0) : left[0] < right[0] ? -1 : 1
    return query.sort.startsWith('-') ? -order : order
  }
  const { after } = query
  return states
    .filter((state) => matches(query, state))
    .map((state) => [sortValue(query.sort, state), state.id] as const)
    .filter((key) => after === undefined || compare([after.value, after.id], key) < 0)
    .sort(compare)
    .slice(0, query.pageSize)
    .map(([, id]) => id)
}

function matches(query: OperationQuery, state: OperationState): boolean {
  const { track, status } = query
  const statuses = Object.entries(state.tracks).map(([name, { status: current }]) => ({ name, current }))
  if (query.pipeline !== undefined && state.pipeline.name !== query.pipeline) return false
  if (query.state !== undefined && state.state !== query.state) return false
  if (track !== undefined && !statuses.some(({ name }) => name === track)) return false
  if (
    status !== undefined &&
    !statuses.some(({ name, current }) => current === status && (track === undefined || track === name))
  ) {
    return false
  }
  if (query.idPrefix !== undefined && !state.id.startsWith(query.idPrefix)) return false
  if (query.theme !== undefined && state.theme !== query.theme) return false
  for (const [member, wanted] of Object.entries(query.metadata ?? {})) {
    const actual = state.metadata.value[member]
    if (typeof actual === 'object' || actual === undefined || String(actual) !== wanted) return false
  }
  if (query.updatedAfter !== undefined && state.updatedAt <= query.updatedAfter) return false
  return query.updatedBefore === undefined || state.updatedAt < query.updatedBefore
}

const sorts = ['-updatedAt', 'updatedAt', 'id', '-openedAt'] as const

function queries(): fc.Arbitrary<OperationQuery> {
  const times = [...new Set(states.flatMap((state) => [state.openedAt, state.updatedAt]))]
  return fc
    .record(
      {
        sort: fc.constantFrom(...sorts),
        pageSize: fc.constantFrom(1, 2, 7, 30, 1_000),
        pipeline: fc.constantFrom('any', 'invoice', 'linear', 'none'),
        track: fc.constantFrom('main', 'fraud', 'none'),
        status: fc.constantFrom('new', 'read', 'status1', 'status2', 'done', 'queued', 'suspect', 'none'),
        state: fc.constantFrom('active', 'succeeded', 'failed', 'none'),
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
        last: fc.constantFrom(...states),
      },
      { requiredKeys: ['sort', 'pageSize'] },
    )
    .map(({ last, ...query }) =>
      last === undefined ? query : { ...query, after: { value: sortValue(query.sort, last), id: last.id } },
    )
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
    after = { value: sortValue(query.sort, last), id: last.id }
  }
}

describe('the list of operations', () => {
  it('answers what the filters, the order and the page say, whichever way it is found', async () => {
    await fc.assert(
      fc.asyncProperty(queries(), async (query) => {
        const wanted = expectedIds(query)
        const { value: rows } = await projections.readModel.operations(query)
        expect(rows.map((row) => row.id)).toEqual(wanted)
        const ways: Way[] =
          query.sort === 'id' ? ['collect', 'collectShapes', 'byId'] : ['collect', 'collectShapes', 'walk', 'narrow']
        for (const way of ways) {
          const { text, values } = pageStatement(query, way)
          const found = await database.admin.query<{ id: string | null }>(text, [...values])
          expect(found.rows.flatMap((row) => row.id ?? [])).toEqual(wanted)
        }
      }),
      { numRuns: 150 },
    )
  })

  it('gives each operation once over all pages', async () => {
    for (const sort of sorts) {
      for (const pageSize of [1, 7, 1_000]) {
        const ids = await allPages({ sort, pageSize })
        expect(ids).toEqual(expectedIds({ sort, pageSize: 1_000 }))
      }
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
