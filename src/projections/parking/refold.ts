import type { RecordedEvent } from '../../eventlog/eventLog.ts'
import { decode, withoutHash } from '../../operation/envelope.ts'
import { isOperationEvent, MalformedEventError } from '../../operation/eventSchemas.ts'
import { evolve } from '../../operation/evolve.ts'
import type { PipelineOf } from '../../operation/pipeline.ts'
import type { OperationState } from '../../operation/state.ts'
import type { ChainEnd } from '../../operation/verifyStream.ts'
import { RevisionGapError } from '../folding.ts'

/** An operation folded on from a state of its own, apart from the batch. */
export class Refold {
  readonly #pipelineOf: PipelineOf
  #state: OperationState | null
  #position: bigint | null = null

  constructor(base: OperationState | null, pipelineOf: PipelineOf) {
    this.#state = base
    this.#pipelineOf = pipelineOf
  }

  /** The state, and the position of the last event it takes in; null when none was folded. */
  get result(): { readonly state: OperationState; readonly position: bigint } | null {
    return this.#state === null || this.#position === null ? null : { state: this.#state, position: this.#position }
  }

  /** Where the chain of what is folded stands; null: at its beginning. */
  get end(): ChainEnd | null {
    return this.#state === null ? null : { revision: this.#state.revision, hash: this.#state.lastHash }
  }

  /** Throws for what cannot be folded; the state is then that before the event. */
  fold(event: RecordedEvent): void {
    const next = this.#state === null ? 0n : this.#state.revision + 1n
    if (event.revision > next) throw new RevisionGapError(`revision ${event.revision} comes after ${next - 1n}`)
    const decoded = decode(event)
    if (!isOperationEvent(decoded)) throw new MalformedEventError(`${decoded.type} in an operation's stream`)
    this.#state = evolve(this.#state, decoded, decoded.meta, this.#pipelineOf)
    this.#position = event.position
  }

  /** As if the event said nothing. What follows it in the stream follows on it. */
  passOver(event: RecordedEvent): void {
    if (this.#state === null) return
    const lastHash = withoutHash(event.metadata)?.hash ?? this.#state.lastHash
    this.#state = { ...this.#state, revision: event.revision, lastHash }
    this.#position = event.position
  }
}
