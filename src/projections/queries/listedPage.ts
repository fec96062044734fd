import type pg from 'pg'
import type { OperationQuery } from '../readModel.ts'
import type { ListedQuery } from './listConditions.ts'
import { pageStatement } from './listQuery.ts'
import { type Ask, wayTo } from './listWay.ts'

interface PageColumns extends pg.QueryResultRow {
  readonly others_by_facet: boolean | null
}

/**
 * The rows of one page. Statuses that shapes name come first, which nearly all that is asked for are; the same statement tells
 * whether operations of other statuses are to be looked for as well, and then they are, in one statement for both.
 */
export async function listedPage<Row extends pg.QueryResultRow>(
  asked: OperationQuery,
  ask: Ask,
): Promise<readonly Row[]> {
  const way = await wayTo(asked, ask)
  const named = await ask<Row & PageColumns>(pageStatement(asked, way))
  const byFacet = named[0]?.others_by_facet ?? null
  if (byFacet === null) return named
  const others: ListedQuery = { ...asked, others: byFacet ? 'byFacet' : 'byLook' }
  return ask<Row>(pageStatement(asked, way, { query: others, way: await wayTo(others, ask) }))
}
