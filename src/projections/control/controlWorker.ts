import { type ProjectionLogger, type Projector, RebuildNotBegunError, type RebuildProgress } from '../readModel.ts'
import type { ControlOrders } from './controlStore.ts'

export interface ControlWorkerSettings {
  readonly store: ControlOrders
  readonly projector: Projector
  readonly logger?: ProjectionLogger
  /** How often a node looks for orders; default 500. */
  readonly lookIntervalMs?: number
}

/** Least time between two notes of a rebuild's progress. */
const progressMs = 500
const problemLengthMax = 500

/**
 * A node's look at what operators asked for: one small query twice a second, beside the projector and not in its way. The
 * node that projects does what is asked; an order whose node died is still there for the next.
 */
export class ControlWorker {
  readonly #settings: ControlWorkerSettings
  readonly #stopping = new AbortController()
  #timer: NodeJS.Timeout | null = null
  #looking: Promise<void> | null = null
  #rebuilding: { readonly abort: AbortController; readonly ended: Promise<void> } | null = null

  constructor(settings: ControlWorkerSettings) {
    this.#settings = settings
  }

  start(): void {
    if (this.#stopping.signal.aborted || this.#timer !== null) return
    this.#timer = setInterval(() => void this.look(), this.#settings.lookIntervalMs ?? 500)
    void this.look()
  }

  /** Takes no more orders, and breaks off a rebuild under way: another node begins it anew. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    clearInterval(this.#timer ?? undefined)
    this.#rebuilding?.abort.abort()
    await this.#looking
    await this.#rebuilding?.ended
  }

  /** Never rejects. Calls that come while one is under way share it. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null
    })
    return this.#looking
  }

  async #look(): Promise<void> {
    const { store, projector, logger } = this.#settings
    if (this.#stopping.signal.aborted) return
    try {
      const { paused, rebuild } = await store.orders()
      projector.hold(paused)
      if (paused) this.#rebuilding?.abort.abort()
      if (paused || rebuild === null || this.#rebuilding !== null || !projects(projector)) return
      if (this.#stopping.signal.aborted) return
      const attempt = await store.beginRebuild(rebuild.id)
      if (attempt === null) return
      if (this.#stopping.signal.aborted) {
        await store.leaveRebuild(attempt)
        return
      }
      const abort = new AbortController()
      const ended = this.#rebuild(attempt, rebuild.attempts + 1, abort.signal)
      this.#rebuilding = { abort, ended }
      void ended.finally(() => {
        this.#rebuilding = null
      })
    } catch (error) {
      // The next look asks again. Who asks for the projection's state is told.
      logger?.info({ err: error }, 'the projection has no orders now')
    }
  }

  /** Never rejects. */
  async #rebuild(attempt: string, attempts: number, signal: AbortSignal): Promise<void> {
    const { store, projector, logger } = this.#settings
    logger?.info({ attempt: attempts }, 'a rebuild was asked for')
    const progress = new ProgressNotes((last) => store.rebuildProgress(attempt, last))
    let failure: Error | null = null
    try {
      await projector.rebuild({ onProgress: (now) => progress.note(now), signal })
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error))
    }
    try {
      await progress.finish()
      if (failure === null) await store.endRebuild(attempt, 'done', null)
      else if (signal.aborted || failure instanceof RebuildNotBegunError) await store.leaveRebuild(attempt)
      else await store.endRebuild(attempt, 'failed', failure.message.slice(0, problemLengthMax))
      if (failure !== null)
        logger?.warn({ err: failure, attempt: attempts }, 'a rebuild that was asked for came to no end')
    } catch (error) {
      // Left as it is, it is begun anew: that does no harm.
      logger?.warn({ err: error }, 'how a rebuild ended could not be noted')
    }
  }
}

/** Notes the newest progress now and then, one note at a time. */
class ProgressNotes {
  readonly #write: (progress: RebuildProgress) => Promise<void>
  #newest: RebuildProgress | null = null
  #writing: Promise<void> | null = null
  #writtenAtMs = Number.NEGATIVE_INFINITY

  constructor(write: (progress: RebuildProgress) => Promise<void>) {
    this.#write = write
  }

  note(progress: RebuildProgress): void {
    this.#newest = progress
    if (this.#writing !== null || performance.now() - this.#writtenAtMs < progressMs) return
    this.#writing = this.#flush().finally(() => {
      this.#writing = null
    })
  }

  async finish(): Promise<void> {
    await this.#writing
    await this.#flush()
  }

  async #flush(): Promise<void> {
    const newest = this.#newest
    if (newest === null) return
    this.#newest = null
    this.#writtenAtMs = performance.now()
    // Only a note: the rebuild does not depend on it.
    await this.#write(newest).catch(() => undefined)
  }
}

function projects(projector: Projector): boolean {
  const { phase } = projector.status()
  return phase === 'live' || phase === 'rebuilding'
}
