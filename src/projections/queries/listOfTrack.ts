import type { OperationQuery } from '../readModel.ts'
import { schemaName } from '../schemaName.ts'
import { noStatusMs } from '../times.ts'
import { asksSince, isOnlyTrack, openedBounds, type Parameters, sinceBounds, sinceRange } from './listConditions.ts'
import { keysetConditions } from './listOrder.ts'
import { lookedAt, ofShapes, type Parts, walk } from './listWalk.ts'

// Lists by the time since when a track has its status, of a track that is not the default one of all pipelines. Its times are
// in one of three places: in `since_at` where it is the pipeline's only track, and so the default one; in `standings` where it
// is not, once it has a status; and before, the operation comes behind all others, in order of opening.

/** In order of `since`. */
export function walkTrack(query: OperationQuery, track: string, parts: Parts, parameters: Parameters): string {
  const { order, shapes, limit } = parts
  const isOnly = isOnlyTrack(track, parameters)
  const places = [
    walk({
      ...parts,
      shapes: [...shapes, isOnly],
      keyset: keysetConditions(query, 'o.since_at', parameters),
      bounds: sinceBounds(query, parameters),
      comparison: '>',
    }),
    walkStandings(query, track, parts, parameters),
  ]
  if (!asksSince(query)) {
    const waiting = [...shapes, `s.tracks ->> ${parameters.add(track)}::text IS NULL`, `NOT ${isOnly}`]
    places.push(walkWaiting(query, { ...parts, shapes: waiting }, parameters))
  }
  const union = places.map((place) => `(SELECT p.id, p.since_at FROM (${place}) p)`).join(' UNION ALL ')
  return `SELECT k.id, k.since_at FROM (${union}) k ORDER BY ${order('k')} LIMIT ${limit}`
}

function walkStandings(query: OperationQuery, track: string, parts: Parts, parameters: Parameters): string {
  const { order, shapes, rows, limit } = parts
  const where = [
    't.standing = g.standing',
    ...sinceRange('t.since_at', query, parameters),
    ...keysetConditions(query, 't.since_at', parameters),
  ]
  return `
    SELECT t.id, t.since_at FROM (${standingsAsked(track, shapes, parameters)}) g CROSS JOIN LATERAL (
      SELECT t.id, t.since_at FROM (
        SELECT t.id, t.since_at FROM ${schemaName}.standings t WHERE ${where.join(' AND ')} ORDER BY ${order('t')} OFFSET 0
      ) t CROSS JOIN LATERAL (${rowOf('t.id')}) o
      WHERE ${[ofShapes(shapes), ...rows].join(' AND ')} LIMIT ${limit}
    ) t ORDER BY ${order('t')} LIMIT ${limit}`
}

function walkWaiting(query: OperationQuery, parts: Parts, parameters: Parameters): string {
  const { after } = query
  // What stands for the time since when, without what is added to the time of opening.
  const opened =
    after === undefined ? query : { ...query, after: { ...after, value: String(Number(after.value) - noStatusMs) } }
  const walked = walk({
    ...parts,
    column: 'opened_at',
    order: (alias) => `${alias}.opened_at, ${alias}.id`,
    keyset: keysetConditions(opened, 'o.opened_at', parameters),
    bounds: openedBounds(query, parameters),
    comparison: '>',
  })
  return `SELECT w.id, w.opened_at + ${noStatusMs} AS since_at FROM (${walked}) w`
}

/** All whose track has its status since the times asked for. */
export function collectOfTrack(
  query: OperationQuery,
  track: string,
  { column, shapes, rows }: Pick<Parts, 'column' | 'shapes' | 'rows'>,
  parameters: Parameters,
): string {
  const columns = column === 'id' ? 'o.id' : column === 'since_at' ? 'o.id, t.since_at' : `o.id, o.${column}`
  return `
    SELECT ${columns} FROM (${standingsOfTrack(query, track, shapes, parameters)}) t CROSS JOIN LATERAL (${rowOf('t.id')}) o
    WHERE ${[ofShapes(shapes), ...rows].join(' AND ')}`
}

/** The same, by id and time. Perhaps a few more: of how the operation stands, only pipeline, state and the track's status are looked at. */
export function standingsOfTrack(
  query: OperationQuery,
  track: string,
  shapes: readonly string[],
  parameters: Parameters,
): string {
  return `
    SELECT t.id, t.since_at FROM (${standingsAsked(track, shapes, parameters)}) g CROSS JOIN LATERAL (
      SELECT t.id, t.since_at FROM ${schemaName}.standings t
      WHERE ${['t.standing = g.standing', ...sinceRange('t.since_at', query, parameters)].join(' AND ')} OFFSET 0
    ) t
    UNION ALL
    SELECT o.id, o.since_at FROM ${schemaName}.shapes s CROSS JOIN LATERAL (
      SELECT o.id, o.since_at FROM ${schemaName}.operations o
      WHERE ${['o.shape = s.id', ...sinceRange('o.since_at', query, parameters)].join(' AND ')} OFFSET 0
    ) o WHERE ${[...shapes, isOnlyTrack(track, parameters)].join(' AND ')}`
}

function standingsAsked(track: string, shapes: readonly string[], parameters: Parameters): string {
  const named = `${parameters.add(track)}::text`
  return `
    SELECT DISTINCT (s.standings ->> ${named})::bigint AS standing
    FROM ${schemaName}.shapes s WHERE ${[...shapes, `s.standings ? ${named}`].join(' AND ')}`
}

function rowOf(id: string): string {
  return `SELECT ${lookedAt} FROM ${schemaName}.operations o WHERE o.id = ${id} OFFSET 0`
}
