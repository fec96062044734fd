import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import type { EventLog, RecordedEvent } from '../eventlog/eventLog.ts'
import { NewerSchemaError } from '../operation/eventSchemas.ts'
import type { OperationState } from '../operation/state.ts'
import { operationStream } from '../operation/streamName.ts'
import type { Batch } from './batch.ts'
import { CountedStatuses } from './countedStatuses.ts'
import { type ConfirmedState, Folding } from './folding.ts'
import { interventionStream } from './parking/interventions.ts'
import { ParkedStreams } from './parking/parkedStreams.ts'
import { refoldStream } from './parking/refoldStream.ts'
import { Skips } from './parking/skips.ts'
import { StreamChains } from './parking/streamChains.ts'
import { ProjectedPipelines } from './projectedPipelines.ts'
import type { FoldedRows } from './projectionStore.ts'
import { Shapes } from './shape.ts'
import { StateCache } from './stateCache.ts'

/** Events folded, or rows made, before others get the event loop: some 2 ms. */
const sliceCount = 100

/** What a projector knows of the rows up to its checkpoint, so that it need not read them back. */
export class FoldMemory {
  readonly pipelines = new ProjectedPipelines()
  /** Streams the database refused, with the reason: parked at their next event. Outlives a session. */
  readonly rejected = new Map<string, string>()
  readonly parked = new ParkedStreams()
  readonly skips = new Skips()
  readonly chains: StreamChains
  readonly #log: Pick<EventLog, 'readStream'>
  readonly #states: StateCache
  readonly #counted = new CountedStatuses()
  readonly #shapes = new Shapes((status) => this.#counted.has(status))

  #skipsKnown = false

  /** `log` is where streams that are folded again are read from. */
  constructor(cacheBytesMax: number, log: Pick<EventLog, 'readStream'>) {
    this.#log = log
    this.chains = new StreamChains(log)
    this.#states = new StateCache(cacheBytesMax)
  }

  /** Before the rows may have become others: a take-over, a rebuild. */
  forget(): void {
    this.#states.clear()
    this.#counted.clear()
    this.pipelines.clear()
    this.parked.clear()
    this.skips.clear()
    this.chains.clear()
    this.#skipsKnown = false
  }

  /** Before anything is folded into rows that are there. */
  async learn(rows: Pick<FoldedRows, 'loadPipelines' | 'loadParked' | 'loadCountedStatuses'>): Promise<void> {
    await rows.loadPipelines(this.pipelines)
    for (const status of await rows.loadCountedStatuses()) this.#counted.see(status)
    await rows.loadParked(this.parked)
  }

  /** The operation as folded last, unless something is wrong with its stream; null when it is not at hand. */
  sound(operation: string): OperationState | null {
    const stream = operationStream(operation)
    if (this.parked.has(stream) || this.rejected.has(stream) || this.skips.concern(stream)) return null
    return this.#states.get(operation)?.state ?? null
  }

  /** Begins a batch after `from`. */
  folding(from: bigint): Folding {
    const { pipelines, parked, rejected, skips } = this
    const parts = { states: this.#states, shapes: this.#shapes, counted: this.#counted }
    return new Folding(from, { ...parts, pipelines, parked, rejected, skips })
  }

  /** Folds events that follow on what was folded; with the help of `confirmed` where it is given. Null, or the error of the event that a newer node must fold. */
  async fold(
    rows: Pick<FoldedRows, 'loadStates'>,
    folding: Folding,
    events: readonly RecordedEvent[],
    confirmed?: ConfirmedState,
  ): Promise<NewerSchemaError | null> {
    let newer: NewerSchemaError | null = null
    if (!this.#skipsKnown) {
      await this.skips.learn(this.#log)
      this.#skipsKnown = true
    }
    const missing = folding.missing(events)
    if (missing.length > 0) {
      for (const loaded of await rows.loadStates(missing, this.pipelines)) folding.admit(loaded)
    }
    if (confirmed !== undefined) folding.recognise(events, confirmed)
    for (const [index, event] of events.entries()) {
      if (index > 0 && index % sliceCount === 0) await yieldToEventLoop()
      try {
        if (event.stream === interventionStream) {
          await refoldStream(event, folding, { log: this.#log, rows, memory: this })
          continue
        }
        const fault = this.chains.faultOf(event, folding)
        folding.fold(event, (fault instanceof Promise ? await fault : fault) ?? undefined)
      } catch (error) {
        if (!(error instanceof NewerSchemaError)) throw error
        newer = error
        folding.endEarly(events.slice(0, index))
        break
      }
    }
    return newer
  }

  /** Ends a batch. */
  async finish(folding: Folding): Promise<Batch> {
    while (folding.settle(sliceCount)) await yieldToEventLoop()
    return folding.finish()
  }
}
