import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { metadataFacet, statusFacet } from '../../src/projections/facets.ts'
import { foldVersion } from '../../src/projections/projectionStore.ts'
import { listedPage } from '../../src/projections/queries/listedPage.ts'
import { pageStatement, type Statement, type Way } from '../../src/projections/queries/listQuery.ts'
import { type Ask, wayTo } from '../../src/projections/queries/listWay.ts'
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
  await admin.query(`
    INSERT INTO shapes (id, pipeline, state, tracks, operations) VALUES
      (4, 'any', 'active', '{"main": ""}', ${ofOne}), (5, 'any', 'active', '{"main": "named"}', 0);
    UPDATE checkpoints SET fold_version = ${foldVersion}`)
  const status = (n: number) => (n % 3 === 0 ? 'other many' : `other ${n}`)
  const others = Array.from({ length: ofOne }, (_, n) => ({ n, status: status(n), facet: statusFacet(status(n)) }))
  await admin.query(
    `INSERT INTO operations (id, shape, updated_at, opened_at, revision, position, facets, state, data, metadata)
     SELECT 'other-' || n, 4, n, n, 0, n, ARRAY[facet], json_build_object('tracks', json_build_object('main', json_build_object('status', status))), '{}', '{}'
     FROM json_to_recordset($1) AS v (n bigint, status text, facet integer)`,
    [JSON.stringify(others)],
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

function planOf(query: OperationQuery, way: Way): Promise<Plan[]> {
  return planned(pageStatement(query, way))
}

async function planned({ text, values }: Statement): Promise<Plan[]> {
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

/** The whole of a list: ids found, rows that scans of indexes came by, statements. */
async function costOf(query: OperationQuery) {
  let [rows, statements] = [0, 0]
  const ask: Ask = async (statement) => {
    statements += 1
    if (!statement.text.trimStart().startsWith('EXPLAIN')) rows += scanned(await planned(statement))
    return (await database.admin.query(statement.text, [...statement.values])).rows
  }
  const found = await listedPage<{ id: string }>(query, ask)
  return { found: found.map(({ id }) => id), rows, statements }
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

  it('by a status that is not counted by name: the few that match are looked at, not all others', async () => {
    const { found, rows, statements } = await costOf({ status: 'other 17', sort: '-updatedAt', pageSize })
    expect(found).toEqual(['other-17'])
    expect(rows).toBeLessThan(50)
    expect(statements).toBe(3)
    // Together with one that is counted by name.
    const both = await costOf({ status: ['other 17', 'odd'], sort: 'id', pageSize: 3 })
    expect(both.found).toHaveLength(3)
    expect(both.rows).toBeLessThan(1_000)
    // A third of the others are in one status: enough to find a page in order.
    const many = await costOf({ status: 'other many', sort: '-updatedAt', pageSize })
    expect(many.found).toHaveLength(pageSize)
    expect(many.rows).toBeLessThan(ofOne)
  })

  it('by a status that is counted by name: one statement, as before there were others', async () => {
    for (const asked of [
      { status: 'named' },
      { status: 'done', pipeline: 'one' },
      { status: 'other 17', pipeline: 'one' },
    ]) {
      expect(await costOf({ ...asked, sort: '-updatedAt', pageSize })).toMatchObject({ statements: 1 })
    }
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
