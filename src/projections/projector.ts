import type { EventLog } from '../eventlog/eventLog.ts'
import type { Batch } from './batch.ts'
import type { CheckpointSignal } from './checkpointSignal.ts'
import { EventQueue } from './eventQueue.ts'
import type { ConfirmedState } from './folding.ts'
import { FoldMemory } from './foldMemory.ts'
import { LagMeter } from './lagMeter.ts'
import {
  type ProjectionLogger,
  type Projector,
  type ProjectorPhase,
  RebuildNotBegunError,
  type RebuildOptions,
} from './readModel.ts'
import { rebuild } from './rebuild.ts'
import { FencedError, foldVersion, ProjectorSession, projectionName, RefusedDataError } from './session.ts'

export interface ProjectorSettings {
  readonly connectionString: string
  /** The role its session runs as; null: the connecting user. */
  readonly role?: string | null
  readonly log: EventLog
  readonly signal: CheckpointSignal
  readonly logger?: ProjectionLogger
  /** Spares the projector to fold again what this node's command room has folded (Folding.recognise). */
  readonly confirmed?: ConfirmedState
  /**
   * Least time between the starts of two batches while events keep coming; default 12. An operation that gets several
   * reports within it is written once. Cut short while somebody waits for a position at hand.
   */
  readonly windowMs?: number
  /** Most events of a batch; default 1,000. */
  readonly batchEventsMax?: number
  /** Bytes of folded operations kept in memory, by estimate; default 128 MiB. */
  readonly cacheBytesMax?: number
  /** How often a node that does not project tries to take over; default 500: within 2 s of a death, also on a busy machine. */
  readonly takeOverIntervalMs?: number
  /** Waits after failures double from 100 up to this; default 5,000. */
  readonly retryMaxMs?: number
}

/** Data and metadata of one batch's events, in UTF-16 units. */
const batchBytesMax = 8_000_000
const queueLimits = { eventsMax: 4_000, bytesMax: 16_000_000, readCountMax: 1_000 }
const retryMinMs = 100
const idleCheckMs = 1_000
/** A batch under way when the projector stops has this long to end by itself. */
const stopMs = 5_000

/** Folds the log into the read model (readModel.ts says how nodes share the work). */
export function createProjector(settings: ProjectorSettings): Projector {
  return new PostgresProjector(settings)
}

interface RebuildRequest {
  readonly options: RebuildOptions
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** Ends the run for good: there is nothing to retry. */
class StoppedError extends Error {
  readonly phase: ProjectorPhase

  constructor(phase: ProjectorPhase, message: string, options?: ErrorOptions) {
    super(message, options)
    this.phase = phase
  }
}

class PostgresProjector implements Projector {
  readonly #settings: ProjectorSettings
  readonly #memory: FoldMemory
  readonly #lag = new LagMeter()
  readonly #stopping = new AbortController()
  #session: ProjectorSession | null = null
  #queue: EventQueue | null = null
  #running: Promise<void> | null = null
  #rebuild: RebuildRequest | null = null
  #phase: ProjectorPhase = 'starting'
  #error: string | null = null
  #eventsFolded = 0
  #batches = 0
  /** As last known: the memory forgets its streams with every session. */
  #parkedCount = 0
  #wakeSleeper: (() => void) | null = null
  /** Whether the projection is paused: as the checkpoint said at the take-over, and the order desk since. */
  #held = false

  constructor(settings: ProjectorSettings) {
    this.#settings = settings
    this.#memory = new FoldMemory(settings.cacheBytesMax ?? 128 * 1024 * 1024, settings.log)
  }

  start(): void {
    if (this.#stopping.signal.aborted) throw new Error('a stopped projector does not start again')
    this.#running ??= this.#run()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#queue?.wake()
    this.#wakeSleeper?.()
    const timer = setTimeout(() => void this.#session?.close(), stopMs)
    await this.#running
    clearTimeout(timer)
  }

  hold(paused: boolean): void {
    if (paused === this.#held) return
    this.#held = paused
    this.#queue?.wake()
    this.#wakeSleeper?.()
  }

  rebuild(options: RebuildOptions = {}): Promise<void> {
    if (this.#phase !== 'live')
      return Promise.reject(new RebuildNotBegunError(`no rebuild by a projector that is ${this.#phase}`))
    if (this.#rebuild !== null) return Promise.reject(new RebuildNotBegunError('a rebuild is under way'))
    return new Promise((resolve, reject) => {
      this.#rebuild = { options, resolve, reject }
      this.#queue?.wake()
    })
  }

  lagMs(): number {
    return this.#lag.lagMs(Date.now(), this.#queue?.oldestAt ?? null)
  }

  status(): ReturnType<Projector['status']> {
    return {
      phase: this.#phase,
      position: this.#settings.signal.position,
      parked: this.#parkedCount,
      paused: this.#held,
      eventsFolded: this.#eventsFolded,
      batches: this.#batches,
      error: this.#error,
    }
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted
  }

  async #run(): Promise<void> {
    let waitMs = retryMinMs
    while (!this.#stopped) {
      const foldedBefore = this.#eventsFolded
      try {
        await this.#runSession()
        this.#error = null
      } catch (error) {
        this.#error = error instanceof Error ? error.message : String(error)
        if (error instanceof StoppedError) {
          this.#settings.logger?.error({ phase: error.phase, err: error }, 'the projector has stopped')
          this.#setPhase(error.phase)
          this.#refuseRebuild(error)
          return
        }
        if (this.#eventsFolded > foldedBefore) waitMs = retryMinMs
        this.#settings.logger?.warn({ err: error, waitMs }, 'the projector failed and tries again')
        this.#setPhase('retrying')
        await this.#sleep(waitMs)
        waitMs = Math.min(waitMs * 2, this.#settings.retryMaxMs ?? 5_000)
      }
    }
    this.#setPhase('stopped')
    this.#refuseRebuild(new RebuildNotBegunError('the projector has stopped'))
  }

  /** From a connection to its loss. All that is kept in memory is of this session: it starts from the rows. */
  async #runSession(): Promise<void> {
    const session = await ProjectorSession.connect(this.#settings)
    this.#session = session
    try {
      if (!(await this.#waitForLock(session))) return
      while (!this.#stopped) {
        this.#memory.forget()
        const position = await this.#takeOver(session)
        if (position === null) await this.#waitWhilePaused(session)
        else if (this.#rebuild !== null) await this.#rebuildNow(session, this.#rebuild)
        else await this.#follow(session, position)
      }
    } finally {
      this.#settings.signal.publish(false)
      this.#session = null
      this.#memory.forget()
      await session.close()
    }
  }

  /** False when stopped before. */
  async #waitForLock(session: ProjectorSession): Promise<boolean> {
    while (!this.#stopped) {
      if (await session.tryLock()) return true
      this.#error = null
      this.#setPhase('waiting')
      this.#refuseRebuild(new RebuildNotBegunError('another node projects'))
      this.#settings.signal.observe(await session.checkpoint(this.#settings.log.logId))
      await this.#measureIdle()
      await this.#sleep(this.#settings.takeOverIntervalMs ?? 500)
      if (session.lost !== null) throw session.lost
    }
    return false
  }

  /** Whatever it was that is to be written waits in the log meanwhile. */
  async #waitWhilePaused(session: ProjectorSession): Promise<void> {
    this.#setPhase('paused')
    this.#error = null
    this.#refuseRebuild(new RebuildNotBegunError('the projection is paused'))
    this.#settings.signal.observe(await session.checkpoint(this.#settings.log.logId))
    while (!this.#stopped && this.#held) {
      await this.#measureIdle()
      await this.#sleep(idleCheckMs)
      if (session.lost !== null) throw session.lost
      this.#held = await session.isPaused()
    }
  }

  /** The position to go on from, once the rows are known to be of this log and of this fold. Null: the projection is paused. */
  async #takeOver(session: ProjectorSession): Promise<bigint | null> {
    const { log, signal, logger } = this.#settings
    const { epoch, position, logId, foldVersion: rowsVersion, paused } = await session.takeOver()
    this.#held = paused
    if (paused) return null
    if (rowsVersion !== null && rowsVersion > foldVersion) {
      throw new StoppedError(
        'newer_schema',
        `a newer node folded the rows (${rowsVersion}; this one makes ${foldVersion})`,
      )
    }
    if (logId !== log.logId || rowsVersion !== foldVersion) {
      if (logId !== null)
        logger?.warn({ logId: log.logId, logIdOfRows: logId }, 'the read model is dropped and folded anew')
      await session.startOver(log.logId)
      signal.reset(0n)
      signal.publish(true)
      return 0n
    }
    const head = await log.head()
    if (head < position) {
      throw new StoppedError(
        'log_behind',
        `the log ends at ${head}, before the checkpoint ${position}: events are missing`,
      )
    }
    await session.loadPipelines(this.#memory.pipelines)
    this.#memory.parked = await session.loadParked()
    this.#parkedCount = this.#memory.parked.size
    signal.observe(position)
    signal.publish(true)
    logger?.info({ projection: projectionName, epoch: String(epoch), position: String(position) }, 'projecting')
    return position
  }

  async #follow(session: ProjectorSession, from: bigint): Promise<void> {
    const queue = new EventQueue(this.#settings.log, from, queueLimits)
    this.#queue = queue
    this.#setPhase('live')
    this.#error = null
    const stopListening = this.#settings.signal.onChange(() => queue.wake())
    let position = from
    let committing: Promise<void> = Promise.resolve()
    let startedAt = 0
    try {
      while (!this.#stopped && this.#rebuild === null && !this.#held) {
        if (session.lost !== null) throw session.lost
        await this.#gather(queue, startedAt)
        const events = queue.take(this.#settings.batchEventsMax ?? 1_000, batchBytesMax)
        if (events.length === 0) continue
        startedAt = Date.now()
        this.#lag.working(startedAt, events[0])
        const folding = this.#memory.folding(position)
        const newer = await this.#memory.fold(session, folding, events, this.#settings.confirmed)
        const batch = folding.finish()
        // The batch before was committed while this one was folded; one at a time, in order.
        await committing
        position = batch.to
        committing = this.#commit(session, batch)
        committing.catch(() => undefined)
        if (newer !== null) {
          await committing
          throw new StoppedError('newer_schema', newer.message, { cause: newer })
        }
        if (queue.length === 0) await committing
      }
      await committing
    } catch (error) {
      // By now nothing else uses the session: what the database refuses can be found out undisturbed.
      if (error instanceof RefusedDataError) await this.#condemn(session, error)
      // A pause raises the epoch: what was under way is not written.
      else if (!(error instanceof FencedError && (await session.isPaused()))) throw error
    } finally {
      stopListening()
      this.#queue = null
      await queue.close()
      this.#lag.idle()
    }
  }

  /** Waits until there are events, and while the window is open for more; not while somebody waits for one of them. */
  async #gather(queue: EventQueue, startedAt: number): Promise<void> {
    const { signal, windowMs = 12, batchEventsMax = 1_000 } = this.#settings
    if (queue.length === 0) {
      await queue.changed(idleCheckMs)
      if (queue.length === 0) {
        await this.#measureIdle()
        return
      }
    }
    for (;;) {
      const left = startedAt + windowMs - Date.now()
      const last = queue.lastPosition
      if (left <= 0 || queue.length >= batchEventsMax || queue.full || this.#stopped || last === null) return
      if (signal.waitsWithin(last)) return
      await queue.changed(left)
    }
  }

  async #commit(session: ProjectorSession, batch: Batch): Promise<void> {
    await session.commit(batch)
    this.#committed(batch)
  }

  #committed(batch: Batch): void {
    this.#eventsFolded += batch.events
    this.#batches += 1
    for (const write of batch.writes) {
      if (write.kind !== 'park') continue
      this.#memory.condemned.delete(write.stream)
      const { stream, revision, reason, detail } = write
      this.#settings.logger?.error({ stream, revision: String(revision), reason, detail }, 'a stream is parked')
    }
    for (const { stream, position, unparked } of batch.revisits) {
      this.#settings.logger?.info({ stream, position: String(position), unparked }, 'a stream was revisited')
    }
    this.#parkedCount = this.#memory.parked.size
    this.#lag.committed()
    this.#settings.signal.observe(batch.to)
  }

  /** The streams that the database refuses are parked when their events come by again. */
  async #condemn(session: ProjectorSession, refusal: RefusedDataError): Promise<void> {
    const refused = await session.refusedWrites(refusal.batch)
    for (const [stream, reason] of refused) this.#memory.condemned.set(stream, reason)
    this.#settings.logger?.warn({ err: refusal, streams: refused.size }, 'the database refuses a batch')
    // Each part passes alone: then it is no data that is at fault, and the batch is tried again as it is.
    if (refused.size === 0) throw new Error(`the database refuses a batch and none of its parts: ${refusal.message}`)
  }

  async #rebuildNow(session: ProjectorSession, request: RebuildRequest): Promise<void> {
    this.#rebuild = null
    const { onProgress, signal } = request.options
    const stopping = this.#stopping.signal
    try {
      await rebuild({
        session,
        log: this.#settings.log,
        memory: this.#memory,
        stopping: signal === undefined ? stopping : AbortSignal.any([stopping, signal]),
        onProgress,
        condemn: (refusal) => this.#condemn(session, refusal),
      })
      this.#settings.logger?.info({}, 'the read model is rebuilt')
      request.resolve()
    } catch (error) {
      request.reject(error instanceof Error ? error : new Error(String(error)))
      // The transaction is rolled back: the rows are what they were, and the next session goes on from them.
      throw error
    }
  }

  #refuseRebuild(error: Error): void {
    this.#rebuild?.reject(error)
    this.#rebuild = null
  }

  async #measureIdle(): Promise<void> {
    try {
      this.#lag.compare(Date.now(), await this.#settings.log.head(), this.#settings.signal.position)
    } catch {
      // Whoever reads the log for its own sake says what is wrong with it.
    }
  }

  #setPhase(phase: ProjectorPhase): void {
    this.#phase = phase
  }

  async #sleep(ms: number): Promise<void> {
    if (this.#stopped) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#wakeSleeper = resolve
      timer = setTimeout(resolve, ms)
    })
    clearTimeout(timer)
    this.#wakeSleeper = null
  }
}
