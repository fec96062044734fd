import { metadataFacet, themeFacet } from './facets.ts'
import type { OperationQuery } from './readModel.ts'
import { schemaName } from './schemaName.ts'

/** A statement and its parameters. */
export interface Statement {
  readonly text: string
  readonly values: readonly unknown[]
}

/**
 * How a page is found:
 * - `walk`: go through each matching shape's operations in the order asked for and merge. Filters by pipeline, track,
 *   status and state are then exact and cost nothing; others are looked at row by row, which is quick when many match.
 * - `collect`: find all that match, then sort. For filters that few operations pass.
 * - `byId`: go through the operations in order of id. For sort `id` when many match.
 */
export type Way = 'walk' | 'collect' | 'byId'

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
  const { column, direction } = orders[query.sort]
  const order = (alias: string): string =>
    column === 'id' ? `${alias}.id ${direction}` : `${alias}.${column} ${direction}, ${alias}.id ${direction}`
  const shapes = shapeConditions(query, parameters)
  const rows = [...facetConditions(query, parameters), ...rangeConditions(query, parameters)]
  const keyset = keysetConditions(query, parameters)
  const limit = `${parameters.add(query.pageSize)}::int`
  const keys =
    way === 'walk'
      ? walk({ column, order, shapes, where: [...rows, ...keyset], limit })
      : collect({ way, column, order, shapes, rows, keyset, limit })
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
  readonly limit: string
}

/**
 * Only shapes whose first operation is among the first `limit` of all first ones can have a part in the page: a step
 * over the shapes with one lookup each, and then at most `limit` of them are read.
 */
function walk({ column, order, shapes, where, limit }: Parts & { readonly where: readonly string[] }): string {
  const inShape = (shape: string, count: string): string => `
    SELECT o.id, o.${column} FROM ${schemaName}.operations o
    WHERE ${[`o.shape = ${shape}`, ...where].join(' AND ')}
    ORDER BY ${order('o')} LIMIT ${count}`
  return `
    SELECT r.* FROM (
      SELECT s.id AS shape
      FROM ${schemaName}.shapes s CROSS JOIN LATERAL (${inShape('s.id', '1')}) f
      WHERE ${shapes.join(' AND ')}
      ORDER BY ${order('f')} LIMIT ${limit}
    ) s CROSS JOIN LATERAL (${inShape('s.shape', limit)}) r
    ORDER BY ${order('r')} LIMIT ${limit}`
}

interface CollectParts extends Parts {
  readonly way: 'collect' | 'byId'
  readonly rows: readonly string[]
  readonly keyset: readonly string[]
}

function collect({ way, column, order, shapes, rows, keyset, limit }: CollectParts): string {
  const ofShapes = `o.shape = ANY (ARRAY(SELECT s.id FROM ${schemaName}.shapes s WHERE ${shapes.join(' AND ')}))`
  const columns = column === 'id' ? 'o.id' : `o.id, o.${column}`
  if (way === 'byId') {
    const where = [ofShapes, ...rows, ...keyset].join(' AND ')
    return `SELECT ${columns} FROM ${schemaName}.operations o WHERE ${where} ORDER BY ${order('o')} LIMIT ${limit}`
  }
  // Materialised, so that the order does not lure the planner into walking an index for rows that are hardly there.
  return `
    WITH o AS MATERIALIZED (SELECT ${columns} FROM ${schemaName}.operations o WHERE ${[ofShapes, ...rows].join(' AND ')})
    SELECT ${columns} FROM o ${keyset.length === 0 ? '' : `WHERE ${keyset.join(' AND ')}`}
    ORDER BY ${order('o')} LIMIT ${limit}`
}

/** How many operations have the shapes asked for: exact, from the counts. */
export function matchingShapesStatement(query: OperationQuery): Statement {
  const parameters = new Parameters()
  const where = shapeConditions(query, parameters).join(' AND ')
  return {
    text: `SELECT coalesce(sum(s.operations), 0)::bigint AS operations FROM ${schemaName}.shapes s WHERE ${where}`,
    values: parameters.values,
  }
}

/**
 * Asks the planner how many rows pass the filters that the way `walk` has to look at row by row. Null when there are
 * none: then every row it meets is one of the page.
 */
export function estimateStatement(query: OperationQuery): Statement | null {
  const parameters = new Parameters()
  const rows = facetConditions(query, parameters)
  if (query.idPrefix !== undefined || query.sort === '-openedAt') rows.push(...rangeConditions(query, parameters))
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

function facetConditions(query: OperationQuery, parameters: Parameters): string[] {
  const facets: number[] = []
  const exact: string[] = []
  if (query.theme !== undefined) {
    facets.push(themeFacet(query.theme))
    exact.push(`(o.state::json ->> 'theme') = ${parameters.add(query.theme)}`)
  }
  for (const [member, value] of Object.entries(query.metadata ?? {})) {
    facets.push(metadataFacet(member, value))
    exact.push(`(o.metadata::json ->> ${parameters.add(member)}::text) = ${parameters.add(value)}`)
  }
  // The numbers first, by the index; then the row itself, for two pairs may share a number.
  return facets.length === 0 ? [] : [`o.facets @> ${parameters.add(facets)}::int[]`, ...exact]
}

function rangeConditions(query: OperationQuery, parameters: Parameters): string[] {
  const conditions: string[] = []
  if (query.updatedAfter !== undefined) {
    conditions.push(`o.updated_at > ${parameters.add(milliseconds(query.updatedAfter))}::bigint`)
  }
  if (query.updatedBefore !== undefined) {
    conditions.push(`o.updated_at < ${parameters.add(milliseconds(query.updatedBefore))}::bigint`)
  }
  if (query.idPrefix !== undefined && query.idPrefix !== '') {
    // Ids are ASCII and compared byte by byte: what begins with the prefix lies between it and its successor.
    conditions.push(`o.id >= ${parameters.add(query.idPrefix)} AND o.id < ${parameters.add(`${query.idPrefix}\u007f`)}`)
  }
  return conditions
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
