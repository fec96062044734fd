import type pg from 'pg'
import { estimateStatement, matchingShapesStatement, type Statement, type Way } from './listQuery.ts'
import type { OperationQuery } from './readModel.ts'

/** Up to this many operations, finding all and sorting them is quicker than looking for a page of them in order. */
const collectedMax = 20_000
/** Up to this many shapes, taking them one after the other costs less than what it may spare. */
const narrowedShapesMax = 100

export type Ask = <Row extends pg.QueryResultRow>(statement: Statement) => Promise<readonly Row[]>

/** The way to a page that has to look at the fewest rows, as far as counts and the planner tell. */
export async function wayTo(asked: OperationQuery, ask: Ask): Promise<Way> {
  if (asked.sort === 'id' && areRare(await shapesOf(asked, ask), asked)) return 'collectShapes'
  const estimate = estimateStatement(asked)
  if (estimate !== null && plannedRows(await ask(estimate)) <= collectedMax) return 'collect'
  if (asked.sort === 'id') return 'byId'
  return estimate === null || (await shapesOf(asked, ask)).shapes > narrowedShapesMax ? 'walk' : 'narrow'
}

interface MatchingShapes {
  readonly shapes: bigint
  /** That have them. */
  readonly operations: bigint
  /** In all. */
  readonly of: bigint
}

async function shapesOf(asked: OperationQuery, ask: Ask): Promise<MatchingShapes> {
  const [counted] = await ask<MatchingShapes>(matchingShapesStatement(asked))
  return counted ?? { shapes: 0n, operations: 0n, of: 0n }
}

/** In order of id they lie among all others: whether more of those would be looked at for a page than there are of them. */
function areRare({ operations, of }: MatchingShapes, { pageSize }: OperationQuery): boolean {
  return operations <= collectedMax && operations * operations < BigInt(pageSize) * of
}

function plannedRows(rows: readonly unknown[]): number {
  const found = /"Plan Rows":\s*(\d+)/.exec(JSON.stringify(rows[0] ?? null))?.[1]
  return found === undefined ? Number.POSITIVE_INFINITY : Number(found)
}
