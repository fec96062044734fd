import type { EventLog } from '../eventlog/eventLog.ts'
import { NewerSchemaError } from '../operation/eventSchemas.ts'
import { WakeUp } from '../runtime/wakeUp.ts'
import type { Batch } from './batch.ts'
import type { CheckpointSignal } from './checkpointSignal.ts'
import type { ConfirmedState } from './folding.ts'
import { FoldMemory } from './foldMemory.ts'
import { Follower } from './follower.ts'
import { LagMeter } from './lagMeter.ts'
import { tellParked } from './parking/tellParked.ts'
import { FencedError, type ProjectionStore, type ProjectorSession } from './projectionStore.ts'
import {
  type ProjectionLogger,
  type Projector,
  type ProjectorPhase,
  type ReadAt,
  RebuildNotBegunError,
  type RebuildOptions,
} from './readModel.ts'
import { Rebuilds } from './rebuild/rebuilds.ts'
import { StoppedError, takeOver } from './takeOver.ts'

export interface ProjectorSettings {
  /** Where the rows are. */
  readonly store: ProjectionStore
  readonly log: EventLog
  readonly signal: CheckpointSignal
  readonly logger?: ProjectionLogger
  /** Spares the projector to fold again what this node's command service has folded (Folding.recognise). */
  readonly confirmed?: ConfirmedState
  /**
   * Least time between the starts of two batches while events keep coming; default 12. An operation that gets several
   * reports within it is written once. Cut short while somebody waits for a position at hand.
   */
  readonly windowMs?: number
  /** Most events of a batch; default 1,000. */
  readonly batchEventsMax?: number
  /** Most events of a batch of a rebuild; default 200,000. Ended earlier by what its operations take (cacheBytesMax). */
  readonly rebuildBatchEventsMax?: number
  /** Bytes of folded operations kept in memory, by estimate; default 64 MiB. During a rebuild, three times as much more. */
  readonly cacheBytesMax?: number
  /** A rebuild whose tables cannot take their place, because somebody is reading, tries so often; default 60: ten minutes. */
  readonly swapAttemptsMax?: number
  /** How often a node that does not project tries to take over; default 500: within 2 s of a death, also on a busy machine. */
  readonly takeOverIntervalMs?: number
  /** Waits after failures double from 100 up to this; default 5,000. */
  readonly retryMaxMs?: number
}

const retryMinMs = 100
const idleCheckMs = 1_000
/** A batch under way when the projector stops has this long to end by itself. */
const stopMs = 5_000

/** Folds the log into the read model (readModel.ts says how nodes share the work). */
export function createProjector(settings: ProjectorSettings): Projector {
  return new StoreProjector(settings)
}

class StoreProjector implements Projector {
  readonly #settings: ProjectorSettings
  readonly #memory: FoldMemory
  readonly #lag = new LagMeter()
  readonly #rebuilds: Rebuilds
  readonly #follower: Follower
  readonly #stopping = new AbortController()
  #session: ProjectorSession | null = null
  #running: Promise<void> | null = null
  #phase: ProjectorPhase = 'starting'
  #error: string | null = null
  #eventsFolded = 0
  #batches = 0
  /** As last known: the memory forgets its streams with every session. */
  #parkedCount = 0
  #tamperedCount = 0
  readonly #wakeUp = new WakeUp()
  /** Whether the projection is paused: as the checkpoint said at the take-over, and the control worker since. */
  #held = false

  constructor(settings: ProjectorSettings) {
    this.#settings = settings
    const { store, log, logger, cacheBytesMax = 64 * 1024 * 1024, swapAttemptsMax = 60 } = settings
    const batchEventsMax = settings.rebuildBatchEventsMax ?? 200_000
    this.#memory = new FoldMemory(cacheBytesMax, log)
    const rebuilds = { store, log, logger, swapAttemptsMax, batchEventsMax, cacheBytesMax }
    this.#rebuilds = new Rebuilds(rebuilds, () => this.#wake())
    this.#follower = new Follower({
      settings,
      memory: this.#memory,
      lag: this.#lag,
      shouldEnd: () => this.#stopped || this.#held || this.#rebuilds.asks,
      onIdle: () => this.#measureIdle(),
      onCommit: (batch) => this.#committed(batch),
    })
  }

  start(): void {
    if (this.#stopping.signal.aborted) throw new Error('a stopped projector does not start again')
    this.#running ??= this.#run()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#wake()
    const timer = setTimeout(() => void this.#session?.close(), stopMs)
    await this.#running
    clearTimeout(timer)
  }

  hold(paused: boolean): void {
    if (paused === this.#held) return
    this.#held = paused
    this.#wake()
  }

  rebuild(options: RebuildOptions = {}): Promise<void> {
    const session = this.#session
    if (session === null || (this.#phase !== 'live' && this.#phase !== 'rebuilding')) {
      return Promise.reject(new RebuildNotBegunError(`no rebuild by a projector that is ${this.#phase}`))
    }
    return this.#rebuilds.request(session, options)
  }

  folded(operation: string): ReadAt<bigint> | null {
    if (this.#phase !== 'live' || this.#session === null || this.#session.lost !== null) return null
    const state = this.#memory.sound(operation)
    return state === null ? null : { value: state.revision, position: this.#settings.signal.position }
  }

  lagMs(): number {
    return this.#lag.lagMs(Date.now(), this.#follower.oldestAt)
  }

  status(): ReturnType<Projector['status']> {
    return {
      phase: this.#phase,
      position: this.#settings.signal.position,
      parked: this.#parkedCount,
      tampered: this.#tamperedCount,
      paused: this.#held,
      eventsFolded: this.#eventsFolded,
      batches: this.#batches,
      rebuild: this.#rebuilds.progress,
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
          this.#rebuilds.refuse(new RebuildNotBegunError(error.message, { cause: error }))
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
    this.#rebuilds.refuse(new RebuildNotBegunError('the projector has stopped'))
  }

  /** From a connection to its loss. All that is kept in memory is of this session: it starts from the rows. */
  async #runSession(): Promise<void> {
    const session = await this.#settings.store.connect()
    this.#session = session
    try {
      if (!(await this.#waitForLock(session))) return
      while (!this.#stopped) {
        this.#memory.forget()
        const taken = await takeOver(session, this.#memory, this.#settings)
        this.#held = taken === null
        if (taken === null) {
          await this.#waitWhilePaused(session)
          continue
        }
        this.#countParked()
        const { position, older } = taken
        await this.#rebuilds.tend(session, older)
        for (let at: bigint | null = position; at !== null && !this.#stopped && !this.#held; ) {
          at = older ? await this.#awaitRebuild(session, at) : await this.#follow(session, at)
          if (at !== null && this.#rebuilds.asks && (await this.#rebuilds.swap(at))) at = null
        }
      }
    } finally {
      this.#settings.signal.publish(false)
      this.#session = null
      this.#memory.forget()
      await session.close()
      await this.#rebuilds.breakOff()
    }
  }

  /** False when stopped before. */
  async #waitForLock(session: ProjectorSession): Promise<boolean> {
    while (!this.#stopped) {
      if (await session.tryLock()) return true
      this.#error = null
      this.#setPhase('waiting')
      this.#rebuilds.refuse(new RebuildNotBegunError('another node projects'))
      this.#settings.signal.observe(await session.checkpoint(this.#settings.log.logId))
      await this.#measureIdle()
      await this.#sleep(this.#settings.takeOverIntervalMs ?? 500)
      checkConnected(session)
    }
    return false
  }

  /** Whatever it was that is to be written waits in the log meanwhile. */
  async #waitWhilePaused(session: ProjectorSession): Promise<void> {
    this.#setPhase('paused')
    this.#error = null
    this.#rebuilds.refuse(new RebuildNotBegunError('the projection is paused'))
    this.#settings.signal.observe(await session.checkpoint(this.#settings.log.logId))
    while (!this.#stopped && this.#held) {
      await this.#measureIdle()
      await this.#sleep(idleCheckMs)
      checkConnected(session)
      this.#held = await session.isPaused()
    }
  }

  /** The position up to which the rows are folded once it stands still; null when they have to be read again. */
  async #follow(session: ProjectorSession, from: bigint): Promise<bigint | null> {
    this.#setPhase('live')
    this.#error = null
    const outcome = await this.#follower
      .follow(session.rows, from, () => checkConnected(session))
      .catch(async (error: unknown) => {
        // A pause raises the epoch: what was under way is not written.
        if (error instanceof FencedError && (await session.isPaused())) return { kind: 'refused' } as const
        throw error
      })
    if (outcome.kind === 'newer') {
      throw new StoppedError('newer_schema', outcome.error.message, { cause: outcome.error })
    }
    return outcome.kind === 'ended' ? outcome.position : null
  }

  #committed(batch: Batch): void {
    this.#eventsFolded += batch.events
    this.#batches += 1
    for (const write of batch.writes) {
      if (write.kind !== 'park') continue
      this.#memory.rejected.delete(write.stream)
      tellParked(this.#settings.logger, write)
    }
    for (const { stream, position, unparked } of batch.refolds) {
      this.#settings.logger?.info({ stream, position: String(position), unparked }, 'a stream was folded again')
    }
    this.#countParked()
    this.#lag.committed()
    this.#settings.signal.observe(batch.to)
  }

  #countParked(): void {
    this.#parkedCount = this.#memory.parked.size
    this.#tamperedCount = this.#memory.parked.tampered
  }

  /** Nothing is folded into the rows of an older fold: they stay as they are until others take their place. */
  async #awaitRebuild(session: ProjectorSession, position: bigint): Promise<bigint> {
    this.#setPhase('rebuilding')
    this.#error = null
    while (!this.#stopped && !this.#held && !this.#rebuilds.asks) {
      checkConnected(session)
      const { failure } = this.#rebuilds
      if (failure instanceof NewerSchemaError)
        throw new StoppedError('newer_schema', failure.message, { cause: failure })
      if (failure !== null) throw failure
      await this.#sleep(idleCheckMs)
      await this.#measureIdle()
    }
    return position
  }

  async #measureIdle(): Promise<void> {
    try {
      this.#lag.compare(Date.now(), await this.#settings.log.head(), this.#settings.signal.position)
    } catch {
      // Whoever reads the log for its own sake says what is wrong with it.
    }
  }

  #wake(): void {
    this.#follower.wake()
    this.#wakeUp.wake()
  }

  #setPhase(phase: ProjectorPhase): void {
    this.#phase = phase
  }

  #sleep(ms: number): Promise<void> {
    return this.#wakeUp.wait(this.#stopping.signal, ms)
  }
}

function checkConnected(session: ProjectorSession): void {
  if (session.lost !== null) throw session.lost
}
