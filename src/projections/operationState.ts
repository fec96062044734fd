import { Document } from '../operation/document.ts'
import type { PipelineOf } from '../operation/pipeline.ts'
import type { OperationState } from '../operation/state.ts'
import { restoreForReading, restoreState, serialiseWithoutDocuments } from '../operation/stateJson.ts'
import { operationBody } from '../operation/view.ts'
import type { OperationRow } from './readModel.ts'

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
  return withDocuments(state, columns)
}

/** For who only shows it: a row of the fold before is shown as far as it goes. Throws what `pipelineOf` throws. */
export function shownState(columns: StateColumns, pipelineOf: PipelineOf): OperationState {
  const state = restoreForReading(columns.state, pipelineOf)
  if (state === null) throw new Error('the row was written by another version of the fold')
  return withDocuments(state, columns)
}

export function shownOf(state: OperationState): Pick<OperationRow, 'body' | 'changedRevision'> {
  return { body: operationBody(state), changedRevision: state.changedRevision }
}

function withDocuments(state: OperationState, { data, metadata }: StateColumns): OperationState {
  return { ...state, data: Document.ofText(data), metadata: Document.ofText(metadata) }
}
