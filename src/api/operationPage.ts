import type { z } from 'zod'
import { isOperationId } from '../operation/names.ts'
import type { OperationFilter } from '../projections/changedOperations.ts'
import type { OperationQuery, OperationRow } from '../projections/readModel.ts'
import type { ReadContext } from './context.ts'
import { metadataPrefix, type operationListQuery } from './contract/operations.ts'
import { pageSizeDefault } from './contract/paging.ts'
import { rowText } from './operationAnswer.ts'
import { decodePageToken, encodePageToken } from './pageToken.ts'
import { ProblemError } from './problem.ts'
import { normaliseTime } from './time.ts'

type FilterName = 'pipeline' | 'track' | 'status' | 'state' | 'idPrefix' | 'theme' | 'updatedAfter' | 'updatedBefore'

type ListQuery = z.output<ReturnType<typeof operationListQuery>>

/** Rows asked of the read model at once: documents can be large, and the page ends at `pageBytesMax`. */
const stepMax = 100

/** The answer of a list, and the position it is folded up to. Throws ProblemError. */
export async function listOperations(
  context: ReadContext,
  query: ListQuery,
): Promise<{ readonly text: string; readonly position: bigint }> {
  const filter = orderedFilterOf(query)
  const filterText = JSON.stringify(filter)
  const pageSize = query.pageSize ?? Math.min(pageSizeDefault, context.limits.pageSizeMax)
  const texts: string[] = []
  let after = query.pageToken === undefined ? undefined : placeOf(query.pageToken, filterText, filter.sort)
  let position: bigint | null = null
  let bytes = 0
  let more = true
  while (more && texts.length < pageSize && bytes < context.limits.pageBytesMax) {
    const step = Math.min(stepMax, pageSize - texts.length)
    const read = await context.readModel.operations({
      ...filter,
      // One more than is shown says whether there is more.
      pageSize: step + 1,
      ...(after === undefined ? {} : { after }),
    })
    // Of several steps the first one's, or a later one's after everything was begun anew.
    if (position === null || read.position < position) position = read.position
    more = read.value.length > step
    for (const row of read.value.slice(0, step)) {
      const text = rowText(context, row)
      texts.push(text)
      bytes += text.length
      after = { value: sortValue(filter.sort, row), id: row.id }
    }
  }
  const token = more && after !== undefined ? encodePageToken([after.value, after.id], filterText) : ''
  return { text: `{"operations":[${texts.join(',')}],"nextPageToken":"${token}"}`, position: position ?? 0n }
}

function orderedFilterOf(query: ListQuery): Omit<OperationQuery, 'pageSize' | 'after'> {
  return { sort: query.sort ?? '-updatedAt', ...filterOf(query) }
}

/** What a list or a live stream asks for; the same query gives the same text as JSON. */
export function filterOf(query: Pick<ListQuery, FilterName>): OperationFilter {
  const { pipeline, track, status, state, idPrefix, theme, updatedAfter, updatedBefore } = query
  const metadata: Record<string, string> = {}
  for (const [name, value] of Object.entries(query)) {
    if (name.startsWith(metadataPrefix) && typeof value === 'string')
      metadata[name.slice(metadataPrefix.length)] = value
  }
  return {
    ...(pipeline === undefined ? {} : { pipeline }),
    ...(track === undefined ? {} : { track }),
    ...(status === undefined ? {} : { status }),
    ...(state === undefined ? {} : { state }),
    ...(idPrefix === undefined ? {} : { idPrefix }),
    ...(theme === undefined ? {} : { theme }),
    ...(updatedAfter === undefined ? {} : { updatedAfter: normaliseTime(updatedAfter) ?? updatedAfter }),
    ...(updatedBefore === undefined ? {} : { updatedBefore: normaliseTime(updatedBefore) ?? updatedBefore }),
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
  }
}

function sortValue(sort: OperationQuery['sort'], row: OperationRow): string {
  if (sort === 'id') return row.id
  return sort === '-openedAt' ? row.openedAt : row.updatedAt
}

function placeOf(token: string, filterText: string, sort: OperationQuery['sort']): { value: string; id: string } {
  const [value = '', id = ''] = decodedPlace(token, filterText, 2)
  const sound = isOperationId(id) && (sort === 'id' ? value === id : normaliseTime(value) === value)
  if (!sound) throw badPageToken('is not a page token')
  return { value, id }
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
