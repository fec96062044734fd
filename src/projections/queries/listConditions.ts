import { anyPipeline } from '../../operation/pipeline.ts'
import { anyTrack, otherStatus } from '../countedStatuses.ts'
import { metadataFacet, statusFacet, themeFacet } from '../facets.ts'
import { foldVersion } from '../projectionStore.ts'
import type { OneOrMore, OperationQuery } from '../readModel.ts'
import { schemaName } from '../schemaName.ts'
import { noStatusMs } from '../times.ts'

// What a list asks, as SQL on `o`, a row of `operations`, and `s`, its row of `shapes`.

/** Below and above all that a column of times holds. */
const least = '(-9223372036854775808)'
const most = '9223372036854775807'

/**
 * What was asked, of the operations whose status shapes name; or, with `others`, of those of pipeline `any` whose status is
 * not counted by name. Of these rows tell the status, and so do facets, unless an older fold made the rows.
 */
export interface ListedQuery extends OperationQuery {
  readonly others?: 'byFacet' | 'byLook'
}

/** Whether some of the operations asked for may be such others. */
export function mayAskOthers({ pipeline, track, status }: OperationQuery): boolean {
  if (status === undefined || (track !== undefined && track !== anyTrack)) return false
  return pipeline === undefined || [pipeline].flat().includes(anyPipeline.name)
}

export class Parameters {
  readonly values: unknown[] = []

  add(value: unknown): string {
    this.values.push(value)
    return `$${this.values.length}`
  }
}

/** What the shapes answer: pipeline, track, status, state, and what is held, blocked or failed. */
export function shapeConditions(query: ListedQuery, parameters: Parameters): string[] {
  const { pipeline, track, status, state, held, blocked, anyTrack } = query
  const anyOf = (values: OneOrMore<string>) => `= ANY (${parameters.add([values].flat())}::text[])`
  const conditions = ['s.operations > 0']
  if (query.others !== undefined) conditions.push(isOther(parameters))
  else if (pipeline !== undefined) conditions.push(`s.pipeline ${anyOf(pipeline)}`)
  if (state !== undefined) conditions.push(`s.state ${anyOf(state)}`)
  if (held !== undefined) conditions.push(`s.held = ${parameters.add(held)}`)
  if (blocked !== undefined) conditions.push(`s.blocked = ${parameters.add(blocked)}`)
  if (anyTrack === 'failed') conditions.push('s.failed')
  if (query.others === undefined && track !== undefined) {
    const named = `${parameters.add(track)}::text`
    conditions.push(status === undefined ? `s.tracks ? ${named}` : `s.tracks ->> ${named} ${anyOf(status)}`)
  } else if (query.others === undefined && status !== undefined) {
    conditions.push(`EXISTS (SELECT FROM jsonb_each_text(s.tracks) t WHERE t.value ${anyOf(status)})`)
  }
  if (asksSince(query)) {
    conditions.push(
      isOtherTrack(track) ? `s.tracks ->> ${parameters.add(track)}::text IS NOT NULL` : `s.since <> 'none'`,
    )
  }
  return conditions
}

/** On `s`: the status is not counted by name. */
function isOther(parameters: Parameters): string {
  return `s.pipeline = ${parameters.add(anyPipeline.name)} AND s.tracks ->> ${parameters.add(anyTrack)}::text = ${parameters.add(otherStatus)}`
}

/**
 * On `c`, the checkpoint: null when no operation asked for can be one of the others; otherwise whether facets tell their
 * status. Which statuses are named changes with a rebuild alone.
 */
export function othersAsked(query: OperationQuery, parameters: Parameters): string {
  if (!mayAskOthers(query)) return 'NULL::boolean'
  const asked = `${parameters.add([query.status].flat())}::text[]`
  return `
    CASE WHEN EXISTS (SELECT FROM ${schemaName}.shapes s WHERE s.operations > 0 AND ${isOther(parameters)})
      AND EXISTS (SELECT FROM unnest(${asked}) a (status) WHERE NOT EXISTS (
        SELECT FROM ${schemaName}.shapes s
        WHERE s.pipeline = ${parameters.add(anyPipeline.name)} AND s.tracks ->> ${parameters.add(anyTrack)}::text = a.status
      ))
    THEN c.fold_version >= ${foldVersion} END`
}

/** By the index: all that match, and perhaps a few more, as two pairs may share a number. */
export function facetConditions(query: ListedQuery, parameters: Parameters): string[] {
  const facets = Object.entries(query.metadata ?? {}).map(([member, value]) => metadataFacet(member, value))
  if (query.theme !== undefined) facets.push(themeFacet(query.theme))
  const conditions = facets.length === 0 ? [] : [`o.facets @> ${parameters.add(facets)}::int[]`]
  if (query.others === 'byFacet') {
    const statuses = [query.status ?? []].flat().map(statusFacet)
    conditions.push(`o.facets && ${parameters.add(statuses)}::int[]`)
  }
  return conditions
}

/** The look at the row itself; costly, so it comes after all others. */
export function exactConditions(query: ListedQuery, parameters: Parameters): string[] {
  const conditions = Object.entries(query.metadata ?? {}).map(
    ([member, value]) => `(o.metadata::json ->> ${parameters.add(member)}::text) = ${parameters.add(value)}`,
  )
  if (query.theme !== undefined) conditions.push(`(o.state::json ->> 'theme') = ${parameters.add(query.theme)}`)
  if (query.others !== undefined) {
    const asked = parameters.add([query.status ?? []].flat())
    conditions.push(
      `(o.state::json -> 'tracks' -> ${parameters.add(anyTrack)}::text ->> 'status') = ANY (${asked}::text[])`,
    )
  }
  return conditions
}

/** Ids are ASCII and compared byte by byte: what begins with the prefix lies between it and its successor. */
export function prefixConditions({ idPrefix }: OperationQuery, parameters: Parameters): string[] {
  if (idPrefix === undefined || idPrefix === '') return []
  return [`o.id >= ${parameters.add(idPrefix)} AND o.id < ${parameters.add(`${idPrefix}\u007f`)}`]
}

export function updatedConditions(query: OperationQuery, parameters: Parameters): string[] {
  return range('o.updated_at', query.updatedAfter, query.updatedBefore, parameters)
}

export function asksSince({ sinceAfter, sinceBefore }: OperationQuery): boolean {
  return sinceAfter !== undefined || sinceBefore !== undefined
}

/** Since when a track has its status. */
export function sinceConditions(query: OperationQuery, parameters: Parameters): string[] {
  if (!asksSince(query)) return []
  return sinceRange(sinceOf(query, parameters), query, parameters)
}

export function sinceRange(column: string, query: OperationQuery, parameters: Parameters): string[] {
  const { sinceAfter, sinceBefore } = query
  const conditions = range(column, sinceAfter, sinceBefore, parameters)
  // What stands for no status is after every time.
  return sinceAfter !== undefined && sinceBefore === undefined
    ? [...conditions, `${column} < ${noStatusMs}`]
    : conditions
}

export function heardConditions({ heardBefore }: OperationQuery, parameters: Parameters): string[] {
  if (heardBefore === undefined) return []
  return [`(o.heard_at < ${time(heardBefore, parameters)} OR o.heard_at IS NULL)`]
}

/** A track that may be another than the default one: `main` never is. */
export function isOtherTrack(track: string | undefined): track is string {
  return track !== undefined && track !== 'main'
}

/** On `s`: the track is the only one, and so the default one. */
export function isOnlyTrack(track: string, parameters: Parameters): string {
  return `s.tracks - ${parameters.add(track)}::text = '{}'`
}

/** On `s`: whether the operation's last event set the status of the track. */
function changedLast(track: string, parameters: Parameters): string {
  return `(${parameters.add(track)}::text = ANY (s.changed_tracks) OR (s.since = 'last' AND ${isOnlyTrack(track, parameters)}))`
}

/** Of the track that is asked for, what `since_at` is of the default one. */
export function sinceOf({ track }: OperationQuery, parameters: Parameters): string {
  if (!isOtherTrack(track)) return 'o.since_at'
  return `coalesce(
    (SELECT t.since_at FROM ${schemaName}.standings t WHERE t.id = o.id AND t.track = ${parameters.add(track)}::text),
    CASE WHEN EXISTS (SELECT FROM ${schemaName}.shapes s WHERE s.id = o.shape AND ${isOnlyTrack(track, parameters)})
         THEN o.since_at ELSE o.opened_at + ${noStatusMs} END
  )`
}

/**
 * What the times that are asked for say of `updated_at`, in terms of the shape: exactly as much, but for `since` and `heard`
 * where the shape says `earlier`. Nothing is set or heard after the last event.
 */
export function updatedBounds(query: OperationQuery, parameters: Parameters): string[] {
  const { track, sinceAfter, sinceBefore, heardBefore } = query
  const bounds = updatedConditions(query, parameters)
  if (sinceAfter !== undefined) bounds.push(`o.updated_at > ${time(sinceAfter, parameters)}`)
  if (sinceBefore !== undefined) {
    const isLast = isOtherTrack(track) ? changedLast(track, parameters) : "s.since = 'last'"
    bounds.push(`o.updated_at < CASE WHEN ${isLast} THEN ${time(sinceBefore, parameters)} ELSE ${most} END`)
  }
  if (heardBefore !== undefined) {
    bounds.push(`o.updated_at < CASE s.heard WHEN 'last' THEN ${time(heardBefore, parameters)} ELSE ${most} END`)
  }
  return bounds
}

/** The same of `since_at`: no status is set after the last event, and none before the last report, but by opening. */
export function sinceBounds(query: OperationQuery, parameters: Parameters): string[] {
  const { updatedAfter, updatedBefore, heardBefore } = query
  const bounds = sinceRange('o.since_at', query, parameters)
  if (updatedAfter !== undefined) {
    bounds.push(`o.since_at > CASE s.since WHEN 'last' THEN ${time(updatedAfter, parameters)} ELSE ${least} END`)
  }
  if (updatedBefore !== undefined) {
    bounds.push(`o.since_at < CASE s.since WHEN 'none' THEN ${most} ELSE ${time(updatedBefore, parameters)} END`)
  }
  if (heardBefore !== undefined) {
    const bounded = `CASE WHEN s.since = 'none' OR s.heard = 'none' THEN ${most} ELSE ${time(heardBefore, parameters)} END`
    bounds.push(`o.since_at < ${bounded}`)
  }
  return bounds
}

/** The same of `opened_at`: everything comes after it. */
export function openedBounds(query: OperationQuery, parameters: Parameters): string[] {
  const { updatedBefore, sinceBefore, heardBefore } = query
  const bounds: string[] = []
  if (updatedBefore !== undefined) bounds.push(`o.opened_at < ${time(updatedBefore, parameters)}`)
  if (sinceBefore !== undefined) bounds.push(`o.opened_at < ${time(sinceBefore, parameters)}`)
  if (heardBefore !== undefined) {
    bounds.push(`o.opened_at < CASE s.heard WHEN 'none' THEN ${most} ELSE ${time(heardBefore, parameters)} END`)
  }
  return bounds
}

function range(
  column: string,
  after: string | undefined,
  before: string | undefined,
  parameters: Parameters,
): string[] {
  const conditions: string[] = []
  if (after !== undefined) conditions.push(`${column} > ${time(after, parameters)}`)
  if (before !== undefined) conditions.push(`${column} < ${time(before, parameters)}`)
  return conditions
}

function time(text: string, parameters: Parameters): string {
  return `${parameters.add(milliseconds(text))}::bigint`
}

export function milliseconds(text: string): number {
  const value = Date.parse(text)
  if (Number.isNaN(value)) throw new RangeError(`${text} is no time`)
  return value
}
