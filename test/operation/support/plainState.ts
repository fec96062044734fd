import assert from 'node:assert/strict'
import type { Document } from '../../../src/operation/document.ts'
import type { JsonObject } from '../../../src/operation/json.ts'
import type { OperationState } from '../../../src/operation/state.ts'

export type PlainState = Omit<OperationState, 'data' | 'metadata'> & { data: JsonObject; metadata: JsonObject }

/** A state to be compared: its documents by what they say, whether they rest or not. What rests is as V8 prints it. */
export function plainState(state: OperationState): PlainState {
  return { ...state, data: plainDocument(state.data), metadata: plainDocument(state.metadata) }
}

function plainDocument(document: Document): JsonObject {
  const { value, isResting } = document
  if (isResting) assert.equal(document.text, JSON.stringify(value))
  return value
}
