import { type DecodedEvent, decode, type StoredEvent, withoutHash } from './envelope.ts'
import { isOperationEvent, MalformedEventError } from './eventSchemas.ts'
import type { OperationEvent } from './events.ts'
import { evolve } from './evolve.ts'
import type { PipelineOf } from './pipeline.ts'
import type { OperationState } from './state.ts'
import type { ChainEnd } from './verifyStream.ts'

/** An event that does not follow on what was folded before it. */
export class RevisionGapError extends Error {
  override readonly name = 'RevisionGapError'
}

export type DecodedOperationEvent = DecodedEvent & OperationEvent

/** Throws as `decode`, and MalformedEventError for an event that belongs in another kind of stream. */
export function decodeOperationEvent(stored: StoredEvent): DecodedOperationEvent {
  const event = decode(stored)
  if (!isOperationEvent(event)) throw new MalformedEventError(`${event.type} in an operation's stream`)
  return event
}

/**
 * The state after the next event of an operation's stream; `state` is that before it, null before the first one. This is the
 * fold that commands, the projection, the self-audit and repairs share. Throws RevisionGapError for an event that is not the
 * next one, and what `evolve` and `pipelineOf` throw. The hash chain is `chainedOn`'s to check, from `chainEnd`.
 */
export function foldNext(
  state: OperationState | null,
  event: DecodedOperationEvent,
  pipelineOf: PipelineOf,
): OperationState {
  const { revision } = event.meta
  const next = state === null ? 0n : state.revision + 1n
  if (revision !== next) throw new RevisionGapError(`revision ${revision} comes after ${next - 1n}`)
  return evolve(state, event, event.meta, pipelineOf)
}

/** The state after an event that an operator had skipped: as if it said nothing, and what follows it follows on it. */
export function foldSkipped(state: OperationState, { revision, metadata }: StoredEvent): OperationState {
  return { ...state, revision, lastHash: withoutHash(metadata)?.hash ?? state.lastHash }
}

/** Where the hash chain of what is folded stands; null: at its beginning. */
export function chainEnd(state: OperationState | null): ChainEnd | null {
  return state === null ? null : { revision: state.revision, hash: state.lastHash }
}
