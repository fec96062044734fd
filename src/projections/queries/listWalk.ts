import { schemaName } from '../schemaName.ts'

/** What filters that are looked at row by row need of a row, and what orders do. */
export const lookedAt =
  'o.id, o.shape, o.updated_at, o.opened_at, o.since_at, o.heard_at, o.facets, o.metadata, o.state'

export interface Parts {
  readonly column: string
  readonly order: (alias: string) => string
  readonly shapes: readonly string[]
  /** What is looked at row by row. */
  readonly rows: readonly string[]
  readonly limit: string
}

export interface WalkParts extends Parts {
  readonly keyset: readonly string[]
  readonly bounds: readonly string[]
  readonly comparison: '<' | '>'
}

/** What bounds and rows ask of a shape. */
const shapeColumns = 's.since, s.heard, s.changed_tracks, s.tracks'

/**
 * Only shapes whose first operation is among the first `limit` of all first ones can have a part in the page: a step
 * over the shapes with one lookup each, and then at most `limit` of them are read.
 */
export function walk(parts: WalkParts): string {
  const { order, shapes, limit } = parts
  return `
    SELECT r.* FROM (
      SELECT s.id, ${shapeColumns}
      FROM ${schemaName}.shapes s CROSS JOIN LATERAL (${inOrder(parts, '1')}) f
      WHERE ${shapes.join(' AND ')}
      ORDER BY ${order('f')} LIMIT ${limit}
    ) s CROSS JOIN LATERAL (${inOrder(parts, limit)}) r
    ORDER BY ${order('r')} LIMIT ${limit}`
}

/** The largest shapes first: they fill the page soonest. `last` is the time of its last entry, once it is full. */
export function narrow(parts: WalkParts): string {
  const { column, order, shapes, limit, comparison } = parts
  const [beyond, atMost] = comparison === '<' ? ['>=', 0n] : ['<=', 2n ** 63n - 1n]
  const found = inOrder(parts, limit, `o.${column} ${beyond} coalesce(b.last, ${atMost}::bigint)`)
  return `
    WITH RECURSIVE s AS MATERIALIZED (
      SELECT s.id, ${shapeColumns}, row_number() OVER (ORDER BY s.operations DESC, s.id) AS turn
      FROM ${schemaName}.shapes s WHERE ${shapes.join(' AND ')}
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

/** Of the shape `s`, up to `count` in order. */
function inOrder(parts: WalkParts, count: string, bound?: string): string {
  const { column, order, rows, keyset, bounds } = parts
  const where = ['o.shape = s.id', ...keyset, ...bounds, ...(bound === undefined ? [] : [bound])].join(' AND ')
  const columns = `o.id, o.${column}`
  if (rows.length === 0) {
    return `SELECT ${columns} FROM ${schemaName}.operations o WHERE ${where} ORDER BY ${order('o')} LIMIT ${count}`
  }
  // OFFSET 0 keeps the other filters out of the ordered scan: inside, the planner would look for their own indexes.
  return `
    SELECT ${columns} FROM (
      SELECT ${lookedAt} FROM ${schemaName}.operations o WHERE ${where} ORDER BY ${order('o')} OFFSET 0
    ) o WHERE ${rows.join(' AND ')} LIMIT ${count}`
}

/** In order of id, those of any shape lie among all others. */
export function byId({ order, shapes, rows, keyset, limit }: Parts & Pick<WalkParts, 'keyset'>): string {
  const where = [ofShapes(shapes), ...rows, ...keyset].join(' AND ')
  return `SELECT o.id FROM ${schemaName}.operations o WHERE ${where} ORDER BY ${order('o')} LIMIT ${limit}`
}

/** On `o`, without a join. */
export function ofShapes(shapes: readonly string[]): string {
  return `o.shape = ANY (ARRAY(SELECT s.id FROM ${schemaName}.shapes s WHERE ${shapes.join(' AND ')}))`
}
