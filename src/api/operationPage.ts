import type { z } from 'zod'
import { isOperationId } from '../operation/names.ts'
import type { OperationFilter } from '../projections/queries/changedOperations.ts'
import { type OperationQuery, placeValue } from '../projections/readModel.ts'
import type { ReadContext } from './context.ts'
import { metadataPrefix, type operationListQuery } from './contract/operations.ts'
import { pageSizeDefault } from './contract/paging.ts'
import { rowText } from './operationAnswer.ts'
import { decodePageToken, encodePageToken } from './pageToken.ts'
import { ProblemError } from './problem.ts'
import { readPage } from './steppedPage.ts'
import { normaliseTime } from './time.ts'

type ListQuery = z.output<ReturnType<typeof operationListQuery>>

/** What lists and live streams alike can ask for, beside `metadata.KEY`. */
type FilterName = keyof Omit<OperationFilter, 'metadata'>

const stepMax = 100

/** The answer of a list, and the position it is folded up to. Throws ProblemError. */
export async function listOperations(
  context: ReadContext,
  query: ListQuery,
): Promise<{ readonly text: string; readonly position: bigint }> {
  const filter = orderedFilterOf(query)
  const filterText = JSON.stringify(filter)
  const pageSize = query.pageSize ?? Math.min(pageSizeDefault, context.limits.pageSizeMax)
  const first = query.pageToken === undefined ? undefined : placeOf(query.pageToken, filterText, filter.sort)
  const { pageBytesMax } = context.limits
  const { texts, next, position } = await readPage({ pageSize, pageBytesMax, stepMax }, first, {
    read: (maxCount, after) =>
      context.readModel.operations({ ...filter, pageSize: maxCount, ...(after === undefined ? {} : { after }) }),
    textOf: (row) => rowText(context, row),
    placeOf: (row) => ({ value: placeValue(filter.sort, row), id: row.id }),
  })
  const token = next === null ? '' : encodePageToken([next.value, next.id], filterText)
  return { text: `{"operations":[${texts.join(',')}],"nextPageToken":"${token}"}`, position }
}

function orderedFilterOf(query: ListQuery): Omit<OperationQuery, 'pageSize' | 'after'> {
  const { sinceAfter, sinceBefore, heardBefore } = query
  return {
    sort: query.sort ?? '-updatedAt',
    ...filterOf(query),
    ...given({
      sinceAfter: timeOf(sinceAfter),
      sinceBefore: timeOf(sinceBefore),
      heardBefore: timeOf(heardBefore),
    }),
  }
}

/** What a list or a live stream asks for; queries that ask the same give the same text as JSON. */
export function filterOf(query: Pick<ListQuery, FilterName>): OperationFilter {
  const { pipeline, track, status, state, idPrefix, theme, updatedAfter, updatedBefore, held, blocked, anyTrack } =
    query
  const members: [name: string, value: string][] = []
  for (const [name, value] of Object.entries(query)) {
    if (name.startsWith(metadataPrefix) && typeof value === 'string')
      members.push([name.slice(metadataPrefix.length), value])
  }
  return given({
    pipeline: valuesOf(pipeline),
    track,
    status: valuesOf(status),
    state: valuesOf(state),
    idPrefix,
    theme,
    updatedAfter: timeOf(updatedAfter),
    updatedBefore: timeOf(updatedBefore),
    held,
    blocked,
    anyTrack,
    // Not by assignment: a member may be called __proto__.
    metadata: members.length === 0 ? undefined : Object.fromEntries(members),
  })
}

/** Only what is asked for. */
function given<T extends object>(members: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  const found: { [Name in keyof T]?: Exclude<T[Name], undefined> } = {}
  for (const [name, value] of Object.entries(members)) if (value !== undefined) Object.assign(found, { [name]: value })
  return found
}

/** Each once, in one order: who asks for the same in another order continues with the same pages. */
function valuesOf<T extends string>(values: readonly T[] | undefined): readonly T[] | undefined {
  return values === undefined ? undefined : [...new Set(values)].sort()
}

function timeOf(text: string | undefined): string | undefined {
  return text === undefined ? undefined : (normaliseTime(text) ?? text)
}

function placeOf(token: string, filterText: string, sort: OperationQuery['sort']): { value: string; id: string } {
  const [value = '', id = ''] = decodedPlace(token, filterText, 2)
  if (!isOperationId(id) || !isPlaceValue(sort, value, id)) throw badPageToken('is not a page token')
  return { value, id }
}

function isPlaceValue(sort: OperationQuery['sort'], value: string, id: string): boolean {
  if (sort === 'id') return value === id
  if (sort === 'since') return /^-?\d{1,16}$/.test(value)
  return normaliseTime(value) === value
}

/** Throws ProblemError. */
export function decodedPlace(token: string, filterText: string, parts: number): readonly string[] {
  const place = decodePageToken(token, filterText, parts)
  if (place === 'malformed') throw badPageToken('is not a page token')
  if (place === 'another_filter') throw badPageToken('belongs to another filter or order')
  return place
}

function badPageToken(detail: string): ProblemError {
  return new ProblemError({
    code: 'invalid',
    detail: `The page token ${detail}.`,
    errors: [{ in: 'query', pointer: '/pageToken', detail }],
  })
}
