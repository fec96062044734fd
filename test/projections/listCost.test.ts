import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { metadataFacet } from '../../src/projections/facets.ts'
import { pageStatement, type Way } from '../../src/projections/listQuery.ts'
import { type Ask, wayTo } from '../../src/projections/listWay.ts'
import type { OperationQuery } from '../../src/projections/readModel.ts'
import { createReadModelDatabase, type ReadModelDatabase } from './support/readModelDatabase.ts'

const pageSize = 20
const ofOne = 6_000
/** Of the first shape's operations, one in ten is the tenant's; of the second's, none. */
const tenant: OperationQuery = { sort: '-updatedAt', pageSize, status: 'done', metadata: { tenant: 'a' } }

let database: ReadModelDatabase

/** Two shapes with thousands of operations each, their times and ids mixed, and a third with few. */
beforeAll(async () => {
  database = await createReadModelDatabase()
  const { admin } = database
  await admin.query(`
    INSERT INTO shapes (id, pipeline, state, tracks, operations) VALUES
      (1, 'one', 'active', '{"main": "done"}', ${ofOne}), (2, 'two', 'active', '{"main": "done"}', ${ofOne}),
      (3, 'three', 'active', '{"main": "odd"}', 30)`)
  await admin.query(
    `INSERT INTO operations (id, shape, updated_at, opened_at, revision, position, facets, state, data, metadata)
     SELECT 'op-' || (n * 7919) % 20011, CASE WHEN n > 12000 THEN 3 ELSE 1 + n % 2 END, n, n, 0, n,
            CASE WHEN n % 20 = 0 THEN ARRAY[$1::integer] ELSE ARRAY[$2::integer] END, '{}', '{}',
            CASE WHEN n % 20 = 0 THEN '{"tenant":"a"}' ELSE '{"tenant":"b"}' END
     FROM generate_series(1, 12030) n`,
    [metadataFacet('tenant', 'a'), metadataFacet('tenant', 'b')],
  )
  await admin.query('VACUUM (ANALYZE) operations, shapes')
})
afterAll(() => database.drop())

interface Plan {
  readonly 'Node Type': string
  readonly 'Actual Rows': number
  readonly 'Actual Loops': number
  readonly 'Rows Removed by Filter'?: number
  readonly 'Index Name'?: string
  readonly 'Heap Fetches'?: number
  readonly Plans?: readonly Plan[]
}

function flat(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(flat)]
}

async function planOf(query: OperationQuery, way: Way): Promise<Plan[]> {
  const { text, values } = pageStatement(query, way)
  const { rows } = await database.admin.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
    `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`,
    [...values],
  )
  return flat(rows[0]?.['QUERY PLAN'][0].Plan ?? expect.unreachable())
}

/** Rows that scans of indexes came by. */
function scanned(plans: readonly Plan[]): number {
  return plans
    .filter((plan) => plan['Index Name'] !== undefined)
    .reduce(
      (sum, plan) => sum + plan['Actual Loops'] * (plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0)),
      0,
    )
}

describe('what a page costs', () => {
  it('narrow: a shape in which nothing matches is not gone through to its end', async () => {
    expect(scanned(await planOf(tenant, 'walk'))).toBeGreaterThan(ofOne)
    expect(scanned(await planOf(tenant, 'narrow'))).toBeLessThan(ofOne / 4)
  })

  it('by id, or by how ids begin: found in the index of the key alone', async () => {
    const byId = await planOf({ sort: 'id', pageSize, pipeline: 'one' }, 'byId')
    const begins = await planOf({ sort: '-updatedAt', pageSize, pipeline: 'one', idPrefix: 'op-17' }, 'collect')
    for (const plans of [byId, begins]) {
      const key = plans.filter((plan) => plan['Node Type'] === 'Index Only Scan')
      expect(key).toHaveLength(1)
      expect(key[0]).toMatchObject({ 'Index Name': 'operations_pkey', 'Heap Fetches': 0 })
      expect(scanned(plans)).toBeLessThan(ofOne / 4)
    }
  })

  it('by id, few of many: the few are found by their shape', async () => {
    expect(scanned(await planOf({ sort: 'id', pageSize, pipeline: 'three' }, 'collectShapes'))).toBeLessThan(200)
  })

  it('takes the way that looks at the fewest', async () => {
    const ask: Ask = async ({ text, values }) => (await database.admin.query(text, [...values])).rows
    const way = (query: Partial<OperationQuery>) => wayTo({ sort: '-updatedAt', pageSize, ...query }, ask)
    expect(await way({ status: 'done' })).toBe('walk')
    expect(await way({ status: 'done', idPrefix: 'op-17' })).toBe('collect')
    expect(await way({ sort: 'id', pipeline: 'one' })).toBe('byId')
    expect(await way({ sort: 'id', pipeline: 'three' })).toBe('collectShapes')
    // A filter that very many pass: no such table here, so the planner is told of one.
    const many: Ask = (statement) =>
      ask(
        statement.text.startsWith('EXPLAIN')
          ? { text: `SELECT '{"Plan Rows": 50000}'::json AS plan`, values: [] }
          : statement,
      )
    expect(await wayTo(tenant, many)).toBe('narrow')
  })
})
