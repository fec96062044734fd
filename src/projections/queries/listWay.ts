import type pg from 'pg'
import type { OperationQuery } from '../readModel.ts'
import { isOtherTrack, type ListedQuery } from './listConditions.ts'
import {
  countTimesStatement,
  estimateStatement,
  looksAtTimes,
  matchingShapesStatement,
  type Statement,
  type Way,
} from './listQuery.ts'

/** Up to this many operations, finding all and sorting them is quicker than looking for a page of them in order. */
const collectedMax = 20_000
/** Up to this many shapes, taking them one after the other costs less than what it may spare. */
const narrowedShapesMax = 100

export type Ask = <Row extends pg.QueryResultRow>(statement: Statement) => Promise<readonly Row[]>

/** The way to a page that has to look at the fewest rows, as far as counts and the planner tell. */
export async function wayTo(asked: ListedQuery, ask: Ask): Promise<Way> {
  const { sort } = asked
  const ofOtherTrack = sort === 'since' && isOtherTrack(asked.track)
  // Facets find those that are rarer than the shape of all others.
  if (asked.others !== 'byFacet' && (sort === 'id' || ofOtherTrack) && areRare(await shapesOf(asked, ask), asked))
    return 'collectShapes'
  const estimate = estimateStatement(asked)
  if (estimate !== null && plannedRows(await ask(estimate)) <= collectedMax) return 'collect'
  const looks = looksAtTimes(asked)
  if (looks) {
    const way = await wayByTimes(asked, ask)
    if (way !== null) return way
  }
  if (sort === 'id') return 'byId'
  if (ofOtherTrack || (estimate === null && !looks && asked.heardBefore === undefined)) return 'walk'
  return (await shapesOf(asked, ask)).shapes > narrowedShapesMax ? 'walk' : 'narrow'
}

/** Null when many match: a page of them is soon met in any order. */
async function wayByTimes(asked: ListedQuery, ask: Ask): Promise<Way | null> {
  const { of } = await shapesOf(asked, ask)
  const countMax = Math.min(collectedMax, Math.ceil(Math.sqrt(asked.pageSize * Number(of))))
  const [counted] = await ask<CountedTimes>(countTimesStatement(asked, countMax))
  const updated = Number(counted?.updated ?? 0n)
  const since = Number(counted?.since ?? countMax)
  if (Math.min(updated, since) >= countMax) return null
  return since < updated ? 'collectSince' : 'collectShapes'
}

interface CountedTimes {
  readonly updated: bigint
  readonly since: bigint | null
}

interface MatchingShapes {
  readonly shapes: bigint
  /** That have them. */
  readonly operations: bigint
  /** In all. */
  readonly of: bigint
}

async function shapesOf(asked: ListedQuery, ask: Ask): Promise<MatchingShapes> {
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
