import { metadataFacet, themeFacet } from './facets.ts'
import type { OperationQuery } from './readModel.ts'
import { schemaName } from './schemaName.ts'

// Why these indexes (migrations/0001_read_model.sql). Status and last event change with nearly every report, and a list
// by them needs an index on them: those updates cannot be HOT. So few indexes, and each answers many questions:
// (shape, updated_at) and (shape, opened_at) any filter by pipeline, track, status and state in order of time; the GIN
// index theme and metadata; the key, which holds shape and times beside the id, the rest. Without the id in the first two:
// times hardly tie, and entries are half as long.
//
// What the indexes cost, and what lists of 50 out of a million operations take: docs/performance.md.

/** A statement and its parameters. */
export interface Statement {
  readonly text: string
  readonly values: readonly unknown[]
}

/**
 * How a page is found:
 * - `walk`: go through each matching shape's operations in the order asked for and merge. Filters by pipeline, track,
 *   status and state are then exact and cost nothing; others are looked at row by row, which is quick when many match.
 * - `narrow`: the same, shape by shape: once a page is full, only what comes before its last entry is looked at. A shape in
 *   which hardly anything matches is then not gone through to its end. For few shapes, and filters that `walk` has to look at.
 * - `collect`: find all that match by the row's own filters, then sort. For filters that few operations pass.
 * - `collectShapes`: find all of the matching shapes, then sort. For shapes with few operations.
 * - `byId`: go through the operations in order of id. For sort `id` when many match.
 */
export type Way = 'walk' | 'narrow' | 'collect' | 'collectShapes' | 'byId'

const orders = {
  '-updatedAt': { column: 'updated_at', direction: 'DESC', comparison: '<' },
  updatedAt: { column: 'updated_at', direction: 'ASC', comparison: '>' },
  '-openedAt': { column: 'opened_at', direction: 'DESC', comparison: '<' },
  id: { column: 'id', direction: 'ASC', comparison: '>' },
} as const

const rowColumns = `o.id, o.state, o.data, o.metadata, o.revision, o.position AS at, o.updated_at, o.opened_at`

/** One page, the checkpoint beside it, in one statement and so in one snapshot. */
export function pageStatement(query: OperationQuery, way: Way): Statement {
  const parameters = new Parameters()
  const { column, direction, comparison } = orders[query.sort]
  const order = (alias: string): string =>
    column === 'id' ? `${alias}.id ${direction}` : `${alias}.${column} ${direction}, ${alias}.id ${direction}`
  const shapes = shapeConditions(query, parameters)
  const facets = facetConditions(query, parameters)
  const exact = exactConditions(query, parameters)
  const prefix = prefixConditions(query, parameters)
  const updated = updatedConditions(query, parameters)
  const keyset = keysetConditions(query, parameters)
  const limit = `${parameters.add(query.pageSize)}::int`
  const parts = { column, order, shapes, keyset, limit }
  const walked = { ...parts, rows: [...prefix, ...unestimated(facets, exact)], updated, comparison }
  const keys =
    way === 'walk'
      ? walk(walked)
      : way === 'narrow'
        ? narrow(walked)
        : collect({ ...parts, way, rows: [...updated, ...prefix, ...facets, ...exact] })
  const text = `
    SELECT c.position AS checkpoint, c.log_id, page.*
    FROM ${schemaName}.checkpoints c
    LEFT JOIN LATERAL (
      WITH keys AS MATERIALIZED (${keys})
      SELECT ${rowColumns}, p.revision AS parked_revision, p.reason AS parked_reason
      FROM keys k
      JOIN ${schemaName}.operations o ON o.id = k.id
      LEFT JOIN ${schemaName}.parked p ON p.stream = 'operation-' || o.id
      ORDER BY ${order('k')}
    ) page ON true
    WHERE c.name = 'operations'`
  return { text, values: parameters.values }
}

interface Parts {
  readonly column: string
  readonly order: (alias: string) => string
  readonly shapes: readonly string[]
  readonly rows: readonly string[]
  readonly keyset: readonly string[]
  readonly limit: string
}

interface WalkParts extends Parts {
  readonly updated: readonly string[]
  readonly comparison: '<' | '>'
}

/**
 * Only shapes whose first operation is among the first `limit` of all first ones can have a part in the page: a step
 * over the shapes with one lookup each, and then at most `limit` of them are read.
 */
function walk(parts: WalkParts): string {
  const { order, shapes, limit } = parts
  return `
    SELECT r.* FROM (
      SELECT s.id AS shape
      FROM ${schemaName}.shapes s CROSS JOIN LATERAL (${inOrder(parts, 's.id', '1')}) f
      WHERE ${shapes.join(' AND ')}
      ORDER BY ${order('f')} LIMIT ${limit}
    ) s CROSS JOIN LATERAL (${inOrder(parts, 's.shape', limit)}) r
    ORDER BY ${order('r')} LIMIT ${limit}`
}

/** The largest shapes first: they fill the page soonest. `last` is the time of its last entry, once it is full. */
function narrow(parts: WalkParts): string {
  const { column, order, shapes, limit, comparison } = parts
  const [beyond, atMost] = comparison === '<' ? ['>=', 0n] : ['<=', 2n ** 63n - 1n]
  const found = inOrder(parts, 's.id', limit, `o.${column} ${beyond} coalesce(b.last, ${atMost}::bigint)`)
  return `
    WITH RECURSIVE s AS MATERIALIZED (
      SELECT s.id, row_number() OVER (ORDER BY s.operations DESC, s.id) AS turn FROM ${schemaName}.shapes s WHERE ${shapes.join(' AND ')}
    ), b AS (
      SELECT 0::bigint AS turn, NULL::bigint AS last, ARRAY[]::bigint[] AS times, ARRAY[]::text[] COLLATE "C" AS ids
      UNION ALL
      SELECT s.turn, page.* FROM b JOIN s ON s.turn = b.turn + 1 CROSS JOIN LATERAL (
        SELECT
          CASE WHEN count(*) = ${limit} THEN ${comparison === '<' ? 'min' : 'max'}(p.${column}) END,
          coalesce(array_agg(p.${column}), ARRAY[]::bigint[]), coalesce(array_agg(p.id), ARRAY[]::text[])
        FROM (
          SELECT * FROM (
            SELECT * FROM unnest(b.ids, b.times) AS k (id, ${column}) UNION ALL SELECT * FROM (${found}) f
          ) p ORDER BY ${order('p')} LIMIT ${limit}
        ) p
      ) page
    )
    SELECT k.* FROM (SELECT * FROM b ORDER BY b.turn DESC LIMIT 1) b CROSS JOIN LATERAL unnest(b.ids, b.times) AS k (id, ${column})`
}

/** Of one shape, up to `count` in order. */
function inOrder(parts: WalkParts, shape: string, count: string, bound?: string): string {
  const { column, order, rows, keyset, updated } = parts
  const where = [`o.shape = ${shape}`, ...keyset, ...updated, ...(bound === undefined ? [] : [bound])].join(' AND ')
  const columns = `o.id, o.${column}`
  if (rows.length === 0) {
    return `SELECT ${columns} FROM ${schemaName}.operations o WHERE ${where} ORDER BY ${order('o')} LIMIT ${count}`
  }
  // OFFSET 0 keeps the other filters out of the ordered scan: inside, the planner would look for their own indexes.
  return `
    SELECT ${columns} FROM (
      SELECT o.id, o.${column}, o.facets, o.metadata, o.state FROM ${schemaName}.operations o
      WHERE ${where} ORDER BY ${order('o')} OFFSET 0
    ) o WHERE ${rows.join(' AND ')} LIMIT ${count}`
}

/**
 * One condition of which the planner only assumes that half of the rows pass. It takes the look at a document for far
 * rarer than it is, and then finds and sorts all of a shape's rows instead of walking until the page is full (measured:
 * 7 s instead of 10 ms). Who walks has made sure that enough rows pass.
 */
function unestimated(facets: readonly string[], exact: readonly string[]): string[] {
  return facets.length === 0 ? [] : [`CASE WHEN ${facets.join(' AND ')} THEN ${exact.join(' AND ')} ELSE false END`]
}

interface CollectParts extends Parts {
  readonly way: 'collect' | 'collectShapes' | 'byId'
}

function collect({ way, column, order, shapes, rows, keyset, limit }: CollectParts): string {
  const ofShapes = `o.shape = ANY (ARRAY(SELECT s.id FROM ${schemaName}.shapes s WHERE ${shapes.join(' AND ')}))`
  const columns = column === 'id' ? 'o.id' : `o.id, o.${column}`
  if (way === 'byId') {
    const where = [ofShapes, ...rows, ...keyset].join(' AND ')
    return `SELECT ${columns} FROM ${schemaName}.operations o WHERE ${where} ORDER BY ${order('o')} LIMIT ${limit}`
  }
  const found =
    way === 'collect'
      ? `SELECT ${columns} FROM ${schemaName}.operations o WHERE ${[ofShapes, ...rows].join(' AND ')}`
      : // With a column that the key's index does not have: the planner would go through all of that, shape after shape.
        `SELECT o.* FROM ${schemaName}.shapes s CROSS JOIN LATERAL (
           SELECT ${columns}, o.revision FROM ${schemaName}.operations o
           WHERE ${['o.shape = s.id', ...rows].join(' AND ')} OFFSET 0
         ) o WHERE ${shapes.join(' AND ')}`
  // Materialised, so that the order does not lure the planner into walking an index for rows that are hardly there.
  return `
    WITH o AS MATERIALIZED (${found})
    SELECT ${columns} FROM o ${keyset.length === 0 ? '' : `WHERE ${keyset.join(' AND ')}`}
    ORDER BY ${order('o')} LIMIT ${limit}`
}

/** How many shapes are asked for, how many operations have them, and how many there are in all: exact, from the counts. */
export function matchingShapesStatement(query: OperationQuery): Statement {
  const parameters = new Parameters()
  const where = shapeConditions(query, parameters).join(' AND ')
  return {
    text: `
      SELECT count(*) FILTER (WHERE ${where}) AS shapes,
             coalesce(sum(s.operations) FILTER (WHERE ${where}), 0)::bigint AS operations,
             coalesce(sum(s.operations), 0)::bigint AS of
      FROM ${schemaName}.shapes s`,
    values: parameters.values,
  }
}

/**
 * Asks the planner how many rows pass the filters that the way `walk` has to look at row by row. Null when there are
 * none: then every row it meets is one of the page.
 */
export function estimateStatement(query: OperationQuery): Statement | null {
  const parameters = new Parameters()
  // Without the look at the row itself: the planner knows nothing about that and would take it for a rare thing.
  const rows = [...facetConditions(query, parameters), ...prefixConditions(query, parameters)]
  // In order of the last event, the walk begins and ends where these say.
  if (query.sort === '-openedAt') rows.push(...updatedConditions(query, parameters))
  if (rows.length === 0) return null
  return {
    text: `EXPLAIN (FORMAT JSON) SELECT FROM ${schemaName}.operations o WHERE ${rows.join(' AND ')}`,
    values: parameters.values,
  }
}

function shapeConditions(query: OperationQuery, parameters: Parameters): string[] {
  const conditions = ['s.operations > 0']
  if (query.pipeline !== undefined) conditions.push(`s.pipeline = ${parameters.add(query.pipeline)}`)
  if (query.state !== undefined) conditions.push(`s.state = ${parameters.add(query.state)}`)
  if (query.track !== undefined && query.status !== undefined) {
    conditions.push(`s.tracks ->> ${parameters.add(query.track)}::text = ${parameters.add(query.status)}`)
  } else if (query.track !== undefined) {
    conditions.push(`s.tracks ? ${parameters.add(query.track)}::text`)
  } else if (query.status !== undefined) {
    conditions.push(`EXISTS (SELECT FROM jsonb_each_text(s.tracks) t WHERE t.value = ${parameters.add(query.status)})`)
  }
  return conditions
}

/** By the index: all that match, and perhaps a few more, as two pairs may share a number. */
function facetConditions(query: OperationQuery, parameters: Parameters): string[] {
  const facets = Object.entries(query.metadata ?? {}).map(([member, value]) => metadataFacet(member, value))
  if (query.theme !== undefined) facets.push(themeFacet(query.theme))
  return facets.length === 0 ? [] : [`o.facets @> ${parameters.add(facets)}::int[]`]
}

/** The look at the row itself; costly, so it comes after all others. */
function exactConditions(query: OperationQuery, parameters: Parameters): string[] {
  const conditions = Object.entries(query.metadata ?? {}).map(
    ([member, value]) => `(o.metadata::json ->> ${parameters.add(member)}::text) = ${parameters.add(value)}`,
  )
  if (query.theme !== undefined) conditions.push(`(o.state::json ->> 'theme') = ${parameters.add(query.theme)}`)
  return conditions
}

function updatedConditions(query: OperationQuery, parameters: Parameters): string[] {
  const conditions: string[] = []
  if (query.updatedAfter !== undefined) {
    conditions.push(`o.updated_at > ${parameters.add(milliseconds(query.updatedAfter))}::bigint`)
  }
  if (query.updatedBefore !== undefined) {
    conditions.push(`o.updated_at < ${parameters.add(milliseconds(query.updatedBefore))}::bigint`)
  }
  return conditions
}

/** Ids are ASCII and compared byte by byte: what begins with the prefix lies between it and its successor. */
function prefixConditions({ idPrefix }: OperationQuery, parameters: Parameters): string[] {
  if (idPrefix === undefined || idPrefix === '') return []
  return [`o.id >= ${parameters.add(idPrefix)} AND o.id < ${parameters.add(`${idPrefix}\u007f`)}`]
}

function keysetConditions(query: OperationQuery, parameters: Parameters): string[] {
  if (query.after === undefined) return []
  const { column, comparison } = orders[query.sort]
  const id = parameters.add(query.after.id)
  if (column === 'id') return [`o.id ${comparison} ${id}`]
  const value = parameters.add(milliseconds(query.after.value))
  return [`(o.${column}, o.id) ${comparison} (${value}::bigint, ${id})`]
}

function milliseconds(time: string): number {
  const value = Date.parse(time)
  if (Number.isNaN(value)) throw new RangeError(`${time} is no time`)
  return value
}

class Parameters {
  readonly values: unknown[] = []

  add(value: unknown): string {
    this.values.push(value)
    return `$${this.values.length}`
  }
}
