import type { EventLog, RecordedEvent } from '../../eventlog/eventLog.ts'
import type { Batch, ParkWrite } from '../batch.ts'
import type { Folding } from '../folding.ts'
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
  /** Each ends a batch: its events, and what the operations take whose rows wait to be written, in bytes, by estimate. */
  readonly batchEventsMax: number
  readonly batchBytesMax: number
  /** Told how far it has folded, with the events since the last time; not all of it is committed (`position`). */
  readonly onFold: (position: bigint, events: number) => void
  /** Told each stream that is set aside, once that is committed. */
  readonly onPark: (park: ParkWrite) => void
}

/** Of a read: larger ones make others wait longer for their turn of the event loop and are not folded faster. */
const readCountMax = 2_000
/** Data and metadata of the events of one read, in UTF-16 units, are to stay near this. Two reads are in memory at once. */
const unitsWanted = 4_000_000
const readCountAtFirst = 250

/** Folds the log's events into rows as fast as it can: reads on while it folds what it has read and the batch before is committed. */
export class ShadowFold {
  readonly #parts: ShadowFoldParts
  #position: bigint
  /** For the next batch; fewer after the database has refused one. */
  #batchEvents: number
  #readCount = readCountAtFirst
  #next: Promise<readonly RecordedEvent[]> = Promise.resolve([])
  /** Whether the memory is that of the rows. */
  #remembers = false

  constructor(parts: ShadowFoldParts) {
    this.#parts = parts
    this.#position = parts.position
    this.#batchEvents = Math.min(readCountAtFirst, parts.batchEventsMax)
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
        this.#batchEvents = eventsAfterRefusal(error, this.#parts.memory.rejected)
      }
    }
  }

  /** False when the log ends before `target`. */
  async #fold(target: bigint): Promise<boolean> {
    const { memory } = this.#parts
    if (!this.#remembers) await this.#remember()
    let folded = this.#position
    let committing: Promise<void> = Promise.resolve()
    let logEnds = false
    this.#next = this.#read(folded, this.#batchEvents)
    while (folded < target && !logEnds) {
      const folding = memory.folding(folded)
      logEnds = await this.#foldBatch(folding, target)
      const batch = await memory.finish(folding)
      await committing
      committing = this.#commit(batch)
      committing.catch(() => undefined)
      folded = batch.to
    }
    await committing
    return folded >= target
  }

  /** True when the log ends. */
  async #foldBatch(folding: Folding, target: bigint): Promise<boolean> {
    const { rows, memory, signal, batchBytesMax, onFold } = this.#parts
    const wanted = this.#batchEvents
    while (folding.events < wanted && folding.unsettledBytes < batchBytesMax && folding.to < target) {
      const events = await unlessAborted(this.#next, signal)
      const last = events.at(-1)
      if (last === undefined) return true
      const left = wanted - folding.events - events.length
      this.#next = this.#read(last.position, left > 0 ? left : this.#batchEvents)
      const newer = await memory.fold(rows, folding, events)
      if (newer !== null) throw newer
      onFold(folding.to, events.length)
    }
    return false
  }

  async #remember(): Promise<void> {
    const { rows, memory } = this.#parts
    memory.forget()
    await memory.learn(rows)
    this.#remembers = true
  }

  #read(after: bigint, countMax: number): Promise<readonly RecordedEvent[]> {
    const reading = this.#parts.log.readAll({ after, maxCount: Math.min(this.#readCount, countMax) }).then((events) => {
      let units = 0
      for (const { data, metadata } of events) units += data.length + metadata.length
      const likely = Math.floor((unitsWanted / Math.max(1, units)) * events.length)
      this.#readCount = Math.max(1, Math.min(readCountMax, this.#readCount * 2, likely))
      return events
    })
    // Nobody may come for it any more.
    reading.catch(() => undefined)
    return reading
  }

  async #commit(batch: Batch): Promise<void> {
    if (batch.to === batch.from) return
    const { rows, memory, batchEventsMax, onPark } = this.#parts
    await rows.commit(batch)
    for (const write of batch.writes) {
      if (write.kind !== 'park') continue
      memory.rejected.delete(write.stream)
      onPark(write)
    }
    this.#position = batch.to
    this.#batchEvents = Math.min(batchEventsMax, this.#batchEvents * 2)
  }
}
