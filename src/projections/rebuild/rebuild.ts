import type { EventLog } from '../../eventlog/eventLog.ts'
import { roughEventCount } from '../../eventlog/roughEventCount.ts'
import { NewerSchemaError } from '../../operation/eventSchemas.ts'
import { pause } from '../../runtime/wakeUp.ts'
import type { ParkWrite } from '../batch.ts'
import { FoldMemory } from '../foldMemory.ts'
import { tellParked } from '../parking/tellParked.ts'
import { FencedError, type ProjectionStore, type ShadowSession, ViewInTheWayError } from '../projectionStore.ts'
import { type ProjectionLogger, type RebuildProgress, tamperedReason } from '../readModel.ts'
import { ShadowFold } from './shadowFold.ts'
import { unlessAborted } from './unlessAborted.ts'

export interface RebuildSettings {
  readonly store: ProjectionStore
  readonly log: EventLog
  /**
   * Most events of a batch. What follows on each other in one operation is written once, so long batches spare most of the
   * writing where many operations take turns; what is not committed is lost with the process.
   */
  readonly batchEventsMax: number
  /** Bytes of folded operations kept in memory, by estimate. Twice as much of those whose rows wait to be written ends a batch. */
  readonly cacheBytesMax: number
  /** Most attempts to swap while readers hold the tables. */
  readonly swapAttemptsMax: number
  readonly logger: ProjectionLogger | undefined
}

export interface RebuildParts {
  /** Of the projection's owner, as it is now. */
  readonly ownerEpoch: () => bigint
  /** Called when the live projection is to stand still for a swap. */
  readonly onAsk: () => void
  readonly onProgress: (progress: RebuildProgress) => void
  /** The rows in use are of an older fold: what is folded is kept whatever fails. */
  readonly required: boolean
}

export type RebuildOutcome =
  | { readonly kind: 'swapped' }
  /** Broken off: whoever projects next resumes it. */
  | { readonly kind: 'stopped' }
  /** The rows in use are what they were. */
  | { readonly kind: 'failed'; readonly error: Error }

/** Readers held the tables at every attempt. */
class SwapHeldError extends Error {
  override readonly name = 'SwapHeldError'
}

/** Trying again changes nothing. */
const hopeless = [NewerSchemaError, SwapHeldError, ViewInTheWayError]
/** In a row, without an event folded in between. */
const failuresMax = 10
const retryMsMin = 100
const retryMsMax = 5_000
const swapRetryMsMax = 10_000
/** Lines of a rebuild about streams that were tampered with: where a disk is bad, it may be all of them. */
const tamperedToldMax = 100
/** So near to the log's end, the rest is folded while the live projection stands still. */
const nearEvents = 1_000

/** Where the live projection stands still, until it is told whether it may go on (false) or the rows are others (true). */
interface Standstill {
  readonly position: bigint
  readonly goOn: (swapped: boolean) => void
}

/** One rebuild, from its begin to the swap: folds beside the live projection, which stands still for a moment at the end only. */
export class Rebuild {
  /** Never rejects. */
  readonly ended: Promise<RebuildOutcome>
  readonly #settings: RebuildSettings
  readonly #parts: RebuildParts
  readonly #abort = new AbortController()
  #abandoned: Error | null = null
  #answerAsk: ((standstill: Standstill) => void) | null = null
  #progress: RebuildProgress
  #startedAt = performance.now()
  #events = 0
  /** Streams that this attempt and those before it found to be tampered with. */
  #tampered = 0
  /** Of the last attempt that came so far. */
  #fold: ShadowFold | null = null

  constructor(settings: RebuildSettings, parts: RebuildParts) {
    this.#settings = settings
    this.#parts = parts
    this.#progress = { stage: 'folding', done: 0n, head: 0n, eventsPerS: 0 }
    this.ended = this.#run()
  }

  get progress(): RebuildProgress {
    return this.#progress
  }

  get required(): boolean {
    return this.#parts.required
  }

  /** True while it waits for the live projection to stand still. */
  get asks(): boolean {
    return this.#answerAsk !== null
  }

  /** The live projection stands still at `position`. True: the rows are the new ones. False: it may go on. Never rejects. */
  swap(position: bigint): Promise<boolean> {
    const answer = this.#answerAsk
    if (answer === null) return Promise.resolve(false)
    this.#answerAsk = null
    const answered = new Promise<boolean>((resolve) => answer({ position, goOn: resolve }))
    // Abandoned at the same moment, it does not answer.
    return Promise.race([answered, this.ended.then(({ kind }) => kind === 'swapped')])
  }

  /** Breaks it off. What is folded stays, for whoever projects next. */
  async stop(): Promise<void> {
    this.#abort.abort(new Error('the rebuild is broken off'))
    await this.ended
  }

  /** Ends it for good and drops what is folded. */
  abandon(reason: Error): void {
    this.#abandoned ??= reason
    void this.stop()
  }

  async #run(): Promise<RebuildOutcome> {
    const { signal } = this.#abort
    for (let failures = 0; ; ) {
      const committed = this.#committed
      try {
        await this.#attempt()
        return { kind: 'swapped' }
      } catch (error) {
        const failure = error instanceof Error ? error : new Error(String(error))
        if (signal.aborted) return this.#abandoned === null ? { kind: 'stopped' } : this.#fail(this.#abandoned)
        failures = this.#committed > committed && !(failure instanceof FencedError) ? 1 : failures + 1
        if (hopeless.some((kind) => failure instanceof kind) || failures > failuresMax) return this.#fail(failure)
        this.#settings.logger?.warn({ err: failure }, 'the rebuild failed and tries again')
        await pause(Math.min(retryMsMin * 2 ** (failures - 1), retryMsMax), signal)
      }
    }
  }

  get #committed(): bigint {
    return this.#fold?.position ?? 0n
  }

  async #fail(error: Error): Promise<RebuildOutcome> {
    try {
      if (!this.#parts.required) await this.#settings.store.dropShadow(this.#parts.ownerEpoch())
    } catch (dropError) {
      this.#settings.logger?.warn({ err: dropError }, 'what was rebuilt could not be dropped')
    }
    return { kind: 'failed', error }
  }

  async #attempt(): Promise<void> {
    const { log, store, logger, batchEventsMax, cacheBytesMax } = this.#settings
    const { signal } = this.#abort
    const session = await store.openShadow({ ownerEpoch: this.#parts.ownerEpoch(), logId: log.logId, signal })
    try {
      const { rows, position } = session
      logger?.info({ position: String(position) }, 'the read model is being rebuilt')
      this.#startedAt = performance.now()
      this.#events = 0
      this.#tell({ stage: 'folding', done: position, eventsPerS: 0 })
      const fold = new ShadowFold({
        log,
        rows,
        position,
        signal,
        memory: new FoldMemory(cacheBytesMax, log),
        batchEventsMax,
        batchBytesMax: 2 * cacheBytesMax,
        onFold: (to, events) => this.#folded(to, events),
        onPark: (park) => this.#parked(park),
      })
      this.#fold = fold
      await this.#foldNearHead(fold)
      this.#tell({ stage: 'indexing' })
      await session.makeIndexes()
      await this.#swap(session, fold)
    } finally {
      await session.close()
    }
  }

  async #foldNearHead(fold: ShadowFold): Promise<void> {
    const { log } = this.#settings
    let head: bigint
    do {
      this.#tell({ head: await this.#head() })
      await fold.foldTo(this.#progress.head)
      head = await this.#head()
    } while (roughEventCount(log, head - fold.position) > nearEvents)
  }

  #head(): Promise<bigint> {
    return unlessAborted(this.#settings.log.head(), this.#abort.signal)
  }

  async #swap(session: ShadowSession, fold: ShadowFold): Promise<void> {
    const { swapAttemptsMax, logger } = this.#settings
    for (let attempt = 1; ; attempt += 1) {
      this.#tell({ stage: 'swapping' })
      if (await session.awaitVacuums()) {
        await this.#foldNearHead(fold)
        if (await this.#trySwap(session, fold)) return
      }
      if (attempt === swapAttemptsMax)
        throw new SwapHeldError('other sessions held the tables at every attempt to swap')
      logger?.info({ attempt }, 'the rebuilt tables wait for who uses the old ones')
      await pause(Math.min(retryMsMin * 2 ** attempt, swapRetryMsMax), this.#abort.signal)
      this.#abort.signal.throwIfAborted()
    }
  }

  async #trySwap(session: ShadowSession, fold: ShadowFold): Promise<boolean> {
    const { position, goOn } = await this.#standstill()
    const startedAt = performance.now()
    let swapped = false
    try {
      await fold.foldTo(position)
      swapped = (await session.swap(this.#parts.ownerEpoch())) === 'swapped'
    } finally {
      const stoodStillMs = Math.round(performance.now() - startedAt)
      if (swapped)
        this.#settings.logger?.info({ position: String(fold.position), stoodStillMs }, 'the read model is rebuilt')
      goOn(swapped)
    }
    return swapped
  }

  async #standstill(): Promise<Standstill> {
    const answered = new Promise<Standstill>((resolve) => {
      this.#answerAsk = resolve
    })
    this.#parts.onAsk()
    try {
      return await unlessAborted(answered, this.#abort.signal)
    } finally {
      this.#answerAsk = null
    }
  }

  /** Streams that are parked for other reasons are told of by the projection that parked them first. */
  #parked(park: ParkWrite): void {
    if (park.reason !== tamperedReason) return
    this.#tampered += 1
    if (this.#tampered <= tamperedToldMax) tellParked(this.#settings.logger, park)
  }

  #folded(done: bigint, events: number): void {
    this.#events += events
    const seconds = (performance.now() - this.#startedAt) / 1_000
    this.#tell({ done, eventsPerS: Math.round(this.#events / seconds) })
  }

  #tell(change: Partial<RebuildProgress>): void {
    const { head, done, ...rest } = { ...this.#progress, ...change }
    this.#progress = { ...rest, done, head: head > done ? head : done }
    this.#parts.onProgress(this.#progress)
  }
}
