import type { EventLog, RecordedEvent } from '../../eventlog/eventLog.ts'
import type { Batch } from '../batch.ts'
import type { FoldMemory } from '../foldMemory.ts'
import { type FoldedRows, RefusedDataError } from '../projectionStore.ts'
import { eventsAfterRefusal } from '../refusal.ts'
import { unlessAborted } from './unlessAborted.ts'

export interface ShadowFoldParts {
  readonly log: EventLog
  readonly rows: FoldedRows
  readonly memory: FoldMemory
  /** Up to where the rows are folded. */
  readonly position: bigint
  readonly signal: AbortSignal
  /** Told each batch once it is committed. */
  readonly onCommit: (batch: Batch) => void
}

/** Of a batch: larger ones make others wait longer for their turn of the event loop and are not folded faster. */
const eventsMax = 2_000
const eventsAtFirst = 250
/** Data and metadata of a batch's events, in UTF-16 units, are to stay near this. Three batches are in memory at once. */
const unitsWanted = 4_000_000

/** Folds the log's events into rows as fast as it can: reads the next batch while it folds one and the one before is committed. */
export class ShadowFold {
  readonly #parts: ShadowFoldParts
  #position: bigint
  #eventsWanted = eventsAtFirst
  /** Whether the memory is that of the rows. */
  #remembers = false

  constructor(parts: ShadowFoldParts) {
    this.#parts = parts
    this.#position = parts.position
  }

  /** All up to here is committed. */
  get position(): bigint {
    return this.#position
  }

  /** Until all up to `target` is committed, or the log ends before. Throws NewerSchemaError, FencedError, or what log or database threw. */
  async foldTo(target: bigint): Promise<void> {
    while (this.#position < target) {
      try {
        if (!(await this.#fold(target))) return
      } catch (error) {
        if (!(error instanceof RefusedDataError)) throw error
        this.#remembers = false
        this.#eventsWanted = eventsAfterRefusal(error, this.#parts.memory.condemned)
      }
    }
  }

  /** False when the log ends before `target`. */
  async #fold(target: bigint): Promise<boolean> {
    const { rows, memory, signal } = this.#parts
    if (!this.#remembers) await this.#remember()
    let folded = this.#position
    let committing: Promise<void> = Promise.resolve()
    let next = this.#read(folded)
    while (folded < target) {
      const events = await unlessAborted(next, signal)
      const last = events.at(-1)
      if (last === undefined) break
      next = this.#read(last.position)
      const folding = memory.folding(folded)
      const newer = await memory.fold(rows, folding, events)
      if (newer !== null) throw newer
      const batch = folding.finish()
      await committing
      committing = this.#commit(batch)
      committing.catch(() => undefined)
      folded = batch.to
    }
    await committing
    return folded >= target
  }

  async #remember(): Promise<void> {
    const { rows, memory } = this.#parts
    memory.forget()
    await rows.loadPipelines(memory.pipelines)
    memory.parked = await rows.loadParked()
    this.#remembers = true
  }

  #read(after: bigint): Promise<readonly RecordedEvent[]> {
    const reading = this.#parts.log.readAll({ after, maxCount: this.#eventsWanted }).then((events) => {
      let units = 0
      for (const { data, metadata } of events) units += data.length + metadata.length
      const likely = Math.floor((unitsWanted / Math.max(1, units)) * events.length)
      this.#eventsWanted = Math.max(1, Math.min(eventsMax, this.#eventsWanted * 2, likely))
      return events
    })
    // Nobody may come for it any more.
    reading.catch(() => undefined)
    return reading
  }

  async #commit(batch: Batch): Promise<void> {
    const { rows, memory, onCommit } = this.#parts
    await rows.commit(batch)
    for (const write of batch.writes) if (write.kind === 'park') memory.condemned.delete(write.stream)
    this.#position = batch.to
    onCommit(batch)
  }
}
