import type { NewerSchemaError } from '../operation/eventSchemas.ts'
import type { Batch } from './batch.ts'
import { EventQueue } from './eventQueue.ts'
import type { FoldMemory } from './foldMemory.ts'
import type { LagMeter } from './lagMeter.ts'
import { type FoldedRows, RefusedDataError } from './projectionStore.ts'
import type { ProjectorSettings } from './projector.ts'
import { eventsAfterRefusal } from './refusal.ts'

export interface FollowerParts {
  readonly settings: ProjectorSettings
  readonly memory: FoldMemory
  readonly lag: LagMeter
  /** True when it is to stand still. */
  readonly shouldEnd: () => boolean
  /** Called while there is nothing to fold. */
  readonly onIdle: () => Promise<void>
  /** Told each batch once it is committed. */
  readonly onCommit: (batch: Batch) => void
}

/** Where it stands still. `refused`: the rows have to be read again. `newer`: the next event is of a schema this node does not know. */
export type FollowOutcome =
  | { readonly kind: 'ended'; readonly position: bigint }
  | { readonly kind: 'refused' }
  | { readonly kind: 'newer'; readonly error: NewerSchemaError }

/** Data and metadata of one batch's events, in UTF-16 units. */
const batchBytesMax = 8_000_000
const queueLimits = { eventsMax: 4_000, bytesMax: 16_000_000, readCountMax: 1_000 }
const idleCheckMs = 1_000

/** Follows the log and folds what comes, in batches, into the rows in use. */
export class Follower {
  readonly #parts: FollowerParts
  readonly #eventsMax: number
  /** Of a batch; fewer after the database has refused one. */
  #eventsWanted: number
  #queue: EventQueue | null = null

  constructor(parts: FollowerParts) {
    this.#parts = parts
    this.#eventsMax = parts.settings.batchEventsMax ?? 1_000
    this.#eventsWanted = this.#eventsMax
  }

  /** When the oldest event arrived that waits here; null when none does. */
  get oldestAt(): number | null {
    return this.#queue?.oldestAt ?? null
  }

  /** Has it look at `shouldEnd`. */
  wake(): void {
    this.#queue?.wake()
  }

  /** Until it should end. Throws what the log, the database or `check` throws. */
  async follow(rows: FoldedRows, from: bigint, check: () => void): Promise<FollowOutcome> {
    const { settings, memory, lag, shouldEnd } = this.#parts
    const queue = new EventQueue(settings.log, from, queueLimits)
    this.#queue = queue
    const stopListening = settings.signal.onChange(() => queue.wake())
    let position = from
    let committing: Promise<void> = Promise.resolve()
    let startedAt = Number.NEGATIVE_INFINITY
    try {
      while (!shouldEnd()) {
        check()
        await this.#gather(queue, startedAt)
        const events = queue.take(this.#eventsWanted, batchBytesMax)
        if (events.length === 0) continue
        startedAt = performance.now()
        lag.working(Date.now(), events[0])
        const folding = memory.folding(position)
        const newer = await memory.fold(rows, folding, events, settings.confirmed)
        const batch = await memory.finish(folding)
        // The batch before was committed while this one was folded; one at a time, in order.
        await committing
        position = batch.to
        committing = this.#commit(rows, batch)
        committing.catch(() => undefined)
        if (newer !== null) {
          await committing
          return { kind: 'newer', error: newer }
        }
        if (queue.length === 0) await committing
      }
      await committing
      return { kind: 'ended', position }
    } catch (error) {
      if (!(error instanceof RefusedDataError)) throw error
      settings.logger?.warn({ err: error }, 'the database refuses a batch')
      this.#eventsWanted = eventsAfterRefusal(error, memory.rejected)
      return { kind: 'refused' }
    } finally {
      stopListening()
      this.#queue = null
      await queue.close()
      lag.idle()
    }
  }

  /**
   * Waits until there are events, and while the window is open for more; not while somebody waits for one of them. By the
   * clock that only grows: the wall's may go back by an hour.
   */
  async #gather(queue: EventQueue, startedAt: number): Promise<void> {
    const { settings, shouldEnd, onIdle } = this.#parts
    if (queue.length === 0) {
      await queue.changed(idleCheckMs)
      if (queue.length === 0) return onIdle()
    }
    for (;;) {
      const left = startedAt + (settings.windowMs ?? 12) - performance.now()
      const last = queue.lastPosition
      if (left <= 0 || queue.length >= this.#eventsMax || queue.full || shouldEnd() || last === null) return
      if (settings.signal.waitsWithin(last)) return
      await queue.changed(left)
    }
  }

  async #commit(rows: FoldedRows, batch: Batch): Promise<void> {
    await rows.commit(batch)
    this.#eventsWanted = Math.min(this.#eventsMax, this.#eventsWanted * 2)
    this.#parts.onCommit(batch)
  }
}
