import type { RecordedEvent } from '../../eventlog/eventLog.ts'
import { chainEnd, decodeOperationEvent, foldNext, foldSkipped } from '../../operation/fold.ts'
import type { PipelineOf } from '../../operation/pipeline.ts'
import type { OperationState } from '../../operation/state.ts'
import type { ChainEnd } from '../../operation/verifyStream.ts'

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
    return chainEnd(this.#state)
  }

  /** Throws for what cannot be folded; the state is then that before the event. */
  fold(event: RecordedEvent): void {
    this.#state = foldNext(this.#state, decodeOperationEvent(event), this.#pipelineOf)
    this.#position = event.position
  }

  /** As if the event said nothing. What follows it in the stream follows on it. */
  passOver(event: RecordedEvent): void {
    if (this.#state === null) return
    this.#state = foldSkipped(this.#state, event)
    this.#position = event.position
  }
}
