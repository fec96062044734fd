import { emptyObject, isJsonObject, type JsonObject } from '../operation/json.ts'
import { anyPipeline, type PipelineOf } from '../operation/pipeline.ts'
import type { OperationState } from '../operation/state.ts'
import { restoreState, serialiseWithoutDocuments } from '../operation/stateJson.ts'
import { operationBody } from '../operation/view.ts'

/**
 * A folded operation as its row holds it: documents apart from the rest, so that each is stored once, and a report that
 * leaves them alone does not write them again.
 */
export interface StateColumns {
  /** `serialiseState` of the state with empty documents. */
  readonly state: string
  /** JSON text. */
  readonly data: string
  readonly metadata: string
}

export function stateColumn(state: OperationState): string {
  return serialiseWithoutDocuments(state)
}

/** Throws on what this version of the state's text cannot be restored from. */
export function stateOf(columns: StateColumns, pipelineOf: PipelineOf): OperationState {
  const state = restoreState(columns.state, pipelineOf)
  if (state === null) throw new Error('the row was written by another version of the fold')
  return { ...state, data: parsed(columns.data), metadata: parsed(columns.metadata) }
}

/** The row's answer (operation/view.ts) as JSON text. The documents' texts go in as they are, unread. */
export function bodyOf(columns: StateColumns): string {
  const state = restoreState(columns.state, pipelineByName)
  if (state === null) throw new Error('the row was written by another version of the fold')
  const body = operationBody({ ...state, data: emptyObject, metadata: emptyObject })
  // The last one: only numbers and times follow, while a held report before it may hold anything.
  const at = body.lastIndexOf(emptyDocuments)
  if (at < 0) throw new Error('the answer has no place for its documents')
  const rest = body.slice(at + emptyDocuments.length)
  return `${body.slice(0, at)}"data":${columns.data},"metadata":${columns.metadata},${rest}`
}

const emptyDocuments = '"data":{},"metadata":{},'

/** The answer shows a pipeline's name and version and no more of it. */
const pipelineByName: PipelineOf = (name, version) => ({ ...anyPipeline, name, version })

function parsed(text: string): JsonObject {
  const value: unknown = JSON.parse(text)
  if (!isJsonObject(value)) throw new Error('a document is an object')
  return value
}
