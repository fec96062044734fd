import type { OperationQuery } from '../readModel.ts'
import { milliseconds, type Parameters } from './listConditions.ts'

export const orders = {
  '-updatedAt': { column: 'updated_at', direction: 'DESC', comparison: '<' },
  updatedAt: { column: 'updated_at', direction: 'ASC', comparison: '>' },
  '-openedAt': { column: 'opened_at', direction: 'DESC', comparison: '<' },
  since: { column: 'since_at', direction: 'ASC', comparison: '>' },
  id: { column: 'id', direction: 'ASC', comparison: '>' },
} as const

export function orderOf(query: OperationQuery): (alias: string) => string {
  const { column, direction } = orders[query.sort]
  return (alias) =>
    column === 'id' ? `${alias}.id ${direction}` : `${alias}.${column} ${direction}, ${alias}.id ${direction}`
}

/** `column`: what the list is ordered by, of the table that `id` is of as well. */
export function keysetConditions({ after, sort }: OperationQuery, column: string, parameters: Parameters): string[] {
  if (after === undefined) return []
  const { comparison } = orders[sort]
  const id = parameters.add(after.id)
  if (sort === 'id') return [`${column} ${comparison} ${id}`]
  const value = parameters.add(sort === 'since' ? after.value : milliseconds(after.value))
  return [`(${column}, ${column.slice(0, column.indexOf('.'))}.id) ${comparison} (${value}::bigint, ${id})`]
}
