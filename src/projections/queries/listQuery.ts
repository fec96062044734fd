import type { OperationQuery } from '../readModel.ts'
import { schemaName } from '../schemaName.ts'
import {
  asksSince,
  exactConditions,
  facetConditions,
  heardConditions,
  isOtherTrack,
  type ListedQuery,
  openedBounds,
  othersAsked,
  Parameters,
  prefixConditions,
  shapeConditions,
  sinceBounds,
  sinceConditions,
  sinceOf,
  sinceRange,
  updatedBounds,
  updatedConditions,
} from './listConditions.ts'
import { collectOfTrack, standingsOfTrack, walkTrack } from './listOfTrack.ts'
import { keysetConditions, orderOf, orders } from './listOrder.ts'
import { byId, lookedAt, narrow, ofShapes, type Parts, walk } from './listWalk.ts'

// Why these indexes (migrations/0001_read_model.sql, 0005_standings.sql). Status and last event change with nearly every
// report, and a list by them needs an index on them: those updates cannot be HOT. So few indexes, and each answers many
// questions: (shape, updated_at), (shape, opened_at) and (shape, since_at) any filter by pipeline, track, status and state,
// and by what is held, blocked or failed, in order of time; the GIN index theme, metadata, and a status that shapes do not name; the key, which holds shape and
// times beside the id, the rest. Without the id in the first three: times hardly tie, and entries are half as long.
//
// What the indexes cost, and what lists of 50 out of a million operations take: docs/performance.md.

/** A statement and its parameters. */
export interface Statement {
  readonly text: string
  readonly values: readonly unknown[]
}

/**
 * How a page is found:
 * - `walk`: go through each matching shape's operations in the order asked for and merge. Filters that the shapes answer are
 *   then exact and cost nothing; others are looked at row by row, which is quick when many match.
 * - `narrow`: the same, shape by shape: once a page is full, only what comes before its last entry is looked at. A shape in
 *   which hardly anything matches is then not gone through to its end. For few shapes, and filters that `walk` has to look at.
 * - `collect`: find all that match by the row's own filters, then sort. For filters that few operations pass.
 * - `collectShapes`: find all of the matching shapes, as far as times of last events and reports bound them, then sort. For
 *   shapes with few such operations.
 * - `collectSince`: find all whose track has its status since the times asked for, then sort. For few.
 * - `byId`: go through the operations in order of id. For sort `id` when many match.
 */
export type Way = 'walk' | 'narrow' | 'collect' | 'collectShapes' | 'collectSince' | 'byId'

const rowColumns = `o.id, o.state, o.data, o.metadata, o.revision, o.position AS at, o.updated_at, o.opened_at`

/**
 * One page, the checkpoint beside it, in one statement and so in one snapshot. Without `others`, those are left out, and
 * `others_by_facet` says whether there are any to look for (othersAsked).
 */
export function pageStatement(
  query: OperationQuery,
  way: Way,
  others?: { readonly query: ListedQuery; readonly way: Way },
): Statement {
  const parameters = new Parameters()
  const order = orderOf(query)
  const flag = others === undefined ? othersAsked(query, parameters) : 'NULL::boolean'
  let keys = keysOf(query, way, parameters)
  if (others !== undefined) keys = merged(query, [keys, keysOf(others.query, others.way, parameters)], parameters)
  const place = query.sort === 'since' ? ', k.since_at AS since_ms' : ''
  const text = `
    SELECT c.position AS checkpoint, c.log_id, ${flag} AS others_by_facet, page.*
    FROM ${schemaName}.checkpoints c
    LEFT JOIN LATERAL (
      WITH keys AS MATERIALIZED (${keys})
      SELECT ${rowColumns}${place}, p.revision AS parked_revision, p.reason AS parked_reason
      FROM keys k
      JOIN ${schemaName}.operations o ON o.id = k.id
      LEFT JOIN ${schemaName}.parked p ON p.stream = 'operation-' || o.id
      ORDER BY ${order('k')}
    ) page ON true
    WHERE c.name = 'operations'`
  return { text, values: parameters.values }
}

/** Of pages that have no operation in common. */
function merged(query: OperationQuery, pages: readonly string[], parameters: Parameters): string {
  const { column } = orders[query.sort]
  const columns = column === 'id' ? 'p.id' : `p.id, p.${column}`
  const union = pages.map((page) => `(SELECT ${columns} FROM (${page}) p)`).join(' UNION ALL ')
  return `SELECT k.* FROM (${union}) k ORDER BY ${orderOf(query)('k')} LIMIT ${parameters.add(query.pageSize)}::int`
}

function keysOf(query: ListedQuery, way: Way, parameters: Parameters): string {
  const { column, comparison } = orders[query.sort]
  const shapes = shapeConditions(query, parameters)
  const facets = facetConditions(query, parameters)
  const exact = exactConditions(query, parameters)
  const prefix = prefixConditions(query, parameters)
  const limit = `${parameters.add(query.pageSize)}::int`
  const parts = { column, order: orderOf(query), shapes, limit }
  const heard = heardConditions(query, parameters)
  if (way === 'walk' || way === 'narrow') {
    const times = [...heard, ...(column === 'updated_at' ? [] : updatedConditions(query, parameters))]
    if (query.sort === 'since' && isOtherTrack(query.track)) {
      const rows = [...prefix, ...unestimated([...times, ...facets], exact)]
      return walkTrack(query, query.track, { ...parts, rows }, parameters)
    }
    if (column !== 'since_at') times.push(...sinceConditions(query, parameters))
    const rows = [...prefix, ...unestimated([...times, ...facets], exact)]
    const keyset = keysetConditions(query, `o.${column}`, parameters)
    const walked = { ...parts, rows, keyset, bounds: boundsOf(query, parameters), comparison }
    return way === 'walk' ? walk(walked) : narrow(walked)
  }
  // Those that are found by it need not be looked at for it.
  const since = way === 'collectSince' ? [] : sinceConditions(query, parameters)
  const rows = [...updatedConditions(query, parameters), ...since, ...heard, ...prefix, ...facets, ...exact]
  if (way === 'byId') return byId({ ...parts, rows, keyset: keysetConditions(query, 'o.id', parameters) })
  const keyset = keysetConditions(query, `k.${column}`, parameters)
  return sorted({ ...parts, keyset, found: found(query, way, { shapes, rows, column }, parameters) })
}

/** What the times asked for come to for the column that is walked along: more cannot match. */
function boundsOf(query: OperationQuery, parameters: Parameters): string[] {
  const { column } = orders[query.sort]
  if (column === 'updated_at') return updatedBounds(query, parameters)
  if (column === 'since_at') return sinceBounds(query, parameters)
  return column === 'opened_at' ? openedBounds(query, parameters) : []
}

/**
 * One condition of which the planner only assumes that half of the rows pass. It takes the look at a document for far
 * rarer than it is, and then finds and sorts all of a shape's rows instead of walking until the page is full (measured:
 * 7 s instead of 10 ms). Who walks has made sure that enough rows pass.
 */
function unestimated(cheap: readonly string[], costly: readonly string[]): string[] {
  if (cheap.length === 0)
    return costly.length === 0 ? [] : [`CASE WHEN ${costly.join(' AND ')} THEN true ELSE false END`]
  return [`CASE WHEN ${cheap.join(' AND ')} THEN ${costly.length === 0 ? 'true' : costly.join(' AND ')} ELSE false END`]
}

function found(
  query: OperationQuery,
  way: 'collect' | 'collectShapes' | 'collectSince',
  { column, shapes, rows }: Pick<Parts, 'column' | 'shapes' | 'rows'>,
  parameters: Parameters,
): string {
  if (way === 'collectSince' && isOtherTrack(query.track)) {
    return collectOfTrack(query, query.track, { column, shapes, rows }, parameters)
  }
  const value =
    column === 'since_at' ? `, ${sinceOf(query, parameters)} AS since_at` : column === 'id' ? '' : `, o.${column}`
  const columns = `o.id${value}`
  if (way === 'collect') {
    return `SELECT ${columns} FROM ${schemaName}.operations o WHERE ${[ofShapes(shapes), ...rows].join(' AND ')}`
  }
  const bounds = way === 'collectSince' ? sinceRange('o.since_at', query, parameters) : updatedBounds(query, parameters)
  // With a column that the key's index does not have: the planner would go through all of that, shape after shape.
  return `
    SELECT ${columns}, o.revision FROM ${schemaName}.shapes s CROSS JOIN LATERAL (
      SELECT ${lookedAt}, o.revision FROM ${schemaName}.operations o WHERE ${['o.shape = s.id', ...bounds].join(' AND ')} OFFSET 0
    ) o WHERE ${[...shapes, ...rows].join(' AND ')}`
}

interface SortedParts extends Omit<Parts, 'rows' | 'shapes'> {
  readonly keyset: readonly string[]
  readonly found: string
}

/** Materialised, so that the order does not lure the planner into walking an index for rows that are hardly there. */
function sorted({ column, order, found, keyset, limit }: SortedParts): string {
  return `
    WITH k AS MATERIALIZED (${found})
    SELECT k.id${column === 'id' ? '' : `, k.${column}`} FROM k ${keyset.length === 0 ? '' : `WHERE ${keyset.join(' AND ')}`}
    ORDER BY ${order('k')} LIMIT ${limit}`
}

/** How many shapes are asked for, how many operations have them, and how many there are in all: exact, from the counts. */
export function matchingShapesStatement(query: ListedQuery): Statement {
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
 * How many operations of the matching shapes the ways `collectShapes` and `collectSince` would find, counted in the indexes up
 * to `countMax` each; `since` is null where nothing is asked of that.
 */
export function countTimesStatement(query: ListedQuery, countMax: number): Statement {
  const parameters = new Parameters()
  const shapes = shapeConditions(query, parameters)
  const limit = parameters.add(countMax)
  const bounded = (bounds: readonly string[]) => `
    SELECT FROM ${schemaName}.shapes s CROSS JOIN LATERAL (
      SELECT FROM ${schemaName}.operations o WHERE ${['o.shape = s.id', ...bounds].join(' AND ')} OFFSET 0
    ) o WHERE ${shapes.join(' AND ')}`
  const counted = (rows: string) => `(SELECT count(*) FROM (${rows} LIMIT ${limit}) counted)`
  const updated = counted(bounded(updatedBounds(query, parameters)))
  const since = !asksSince(query)
    ? 'NULL::bigint'
    : isOtherTrack(query.track)
      ? counted(standingsOfTrack(query, query.track, shapes, parameters))
      : counted(bounded(sinceRange('o.since_at', query, parameters)))
  return { text: `SELECT ${updated} AS updated, ${since} AS since`, values: parameters.values }
}

/** Whether times are asked for that a walk in this order has to look at, row by row. */
export function looksAtTimes(query: OperationQuery): boolean {
  const { sort, updatedAfter, updatedBefore, heardBefore } = query
  const byUpdate = orders[sort].column === 'updated_at'
  const ofUpdate = updatedAfter !== undefined || updatedBefore !== undefined || heardBefore !== undefined
  return (!byUpdate && ofUpdate) || (sort !== 'since' && asksSince(query))
}

/**
 * Asks the planner how many rows pass the filters that the way `walk` has to look at row by row. Null when there are
 * none: then every row it meets is one of the page.
 */
export function estimateStatement(query: ListedQuery): Statement | null {
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
