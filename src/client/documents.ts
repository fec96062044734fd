import { isObject, parseJson } from './answers.ts'
import type { DefinedPipeline, Operation, Pipeline, RecordedEvent, Stats } from './contract.ts'
import { WaybillUnanswered } from './errors.ts'

// As much of each document as tells it from what is none.

export const isOperation = (value: unknown): value is Operation =>
  isObject(value) && typeof value.id === 'string' && isObject(value.tracks)

export const isOperationOrNull = (value: unknown): value is Operation | null => value === null || isOperation(value)

export const isPipeline = (value: unknown): value is Pipeline =>
  isObject(value) && typeof value.name === 'string' && isObject(value.definition)

export const isDefinedPipeline = (value: unknown): value is DefinedPipeline =>
  isObject(value) && isPipeline(value) && 'outcome' in value

export const isEvent = (value: unknown): value is RecordedEvent =>
  isObject(value) && typeof value.stream === 'string' && typeof value.position === 'string'

export const isLeft = (value: unknown): value is { id: string; revision: number } =>
  isObject(value) && typeof value.id === 'string' && typeof value.revision === 'number'

/** A message that is whole and yet not what was asked for comes again with every attempt: an error, at once. */
export function documentOf<T>(text: string, isDocument: (value: unknown) => value is T): T {
  const value = parseJson(text)
  if (isDocument(value)) return value
  throw new WaybillUnanswered("a message of the live stream is not one of Waybill's", {
    attempts: 1,
    mayHaveLanded: false,
  })
}

export const isStats = (value: unknown): value is Stats => isObject(value) && isObject(value.pipelines)
