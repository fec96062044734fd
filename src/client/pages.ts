import { type Answer, isObject } from './answers.ts'
import type { Operation, OperationListFilter, Pipeline, RecordedEvent } from './contract.ts'
import { isPlain } from './jsonText.ts'

export interface EventPage {
  readonly events: RecordedEvent[]
  /** Absent: there is nothing after it, and never will be. */
  readonly next?: string
}

export interface OperationPage {
  readonly operations: Operation[]
  readonly nextPageToken: string
}

export interface PipelinePage {
  readonly pipelines: Pipeline[]
  readonly nextPageToken: string
}

export const isEventPage = (value: unknown): value is EventPage =>
  isObject(value) && Array.isArray(value.events) && (value.next === undefined || typeof value.next === 'string')

export const isOperationPage = (value: unknown): value is OperationPage =>
  isObject(value) && Array.isArray(value.operations) && typeof value.nextPageToken === 'string'

export const isPipelinePage = (value: unknown): value is PipelinePage =>
  isObject(value) && Array.isArray(value.pipelines) && typeof value.nextPageToken === 'string'

/** The items of all pages. `fetchPage` gets the token of the page it is to ask for; null for the first. */
export async function* throughPages<T, P>(
  fetchPage: (token: string | null) => Promise<Answer<P>>,
  read: (page: P) => { readonly items: readonly T[] /** Null: there is no other. */; readonly next: string | null },
): AsyncGenerator<T, void, undefined> {
  for (let token: string | null = null; ; ) {
    const page = read((await fetchPage(token)).body)
    yield* page.items
    if (page.next === null) return
    token = page.next
  }
}

type Value = string | number | boolean

/**
 * Only what is given: an absent parameter and an empty one are not the same. One with several values is repeated. Throws
 * TypeError for what would ask for something else than was meant: in JavaScript a parameter may be null, NaN, or an object,
 * and a list of values without any would ask for everything.
 */
export function queryOf(members: Readonly<Record<string, Value | readonly string[] | undefined>>): URLSearchParams {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(members)) {
    if (value === undefined) continue
    const values = [value].flat()
    if (values.length === 0) throw new TypeError(`${name} has no value: nothing can match`)
    for (const one of values) query.append(name, parameterOf(name, one))
  }
  return query
}

export function filterQuery({ metadata = {}, ...filter }: OperationListFilter): URLSearchParams {
  if (!isPlain(metadata)) throw new TypeError('metadata must be a plain object')
  const query = queryOf({ ...filter })
  for (const [name, value] of Object.entries(metadata)) {
    const parameter = `metadata.${name}`
    query.set(parameter, parameterOf(parameter, value))
  }
  return query
}

function parameterOf(name: string, value: Value): string {
  const isSound =
    typeof value === 'string' ? value.isWellFormed() : typeof value === 'boolean' || Number.isFinite(value)
  if (!isSound) throw new TypeError(`${name} must be a string without half of a surrogate pair, or a finite number`)
  return String(value)
}
