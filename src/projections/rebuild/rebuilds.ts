import { foldVersion, type ProjectorSession } from '../projectionStore.ts'
import type { RebuildOptions, RebuildProgress } from '../readModel.ts'
import { Rebuild, type RebuildOutcome, type RebuildSettings } from './rebuild.ts'

interface Caller {
  readonly options: RebuildOptions
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** The rebuild of a projector, across its sessions: who asked for it, and what is under way. */
export class Rebuilds {
  readonly #settings: RebuildSettings
  /** Called when the projector has something to look at. */
  readonly #onChange: () => void
  readonly #callers = new Set<Caller>()
  #current: Rebuild | null = null
  #swapped = false
  #dropping: Promise<void> = Promise.resolve()
  #failure: Error | null = null

  constructor(settings: RebuildSettings, onChange: () => void) {
    this.#settings = settings
    this.#onChange = onChange
  }

  /** Null while none is under way. */
  get progress(): RebuildProgress | null {
    return this.#current?.progress ?? null
  }

  /** True while a rebuild waits for the projection to stand still. */
  get asks(): boolean {
    return this.#current?.asks === true
  }

  /** Of the last one, when it failed and no other was begun. */
  get failure(): Error | null {
    return this.#failure
  }

  /** Projector.rebuild, on the session that projects. */
  request(session: ProjectorSession, options: RebuildOptions): Promise<void> {
    const { signal } = options
    if (signal?.aborted === true) return Promise.reject(abandoned())
    return new Promise((resolve, reject) => {
      const settle = (settled: () => void): void => {
        signal?.removeEventListener('abort', onAbort)
        this.#callers.delete(caller)
        settled()
      }
      const caller: Caller = {
        options,
        resolve: () => settle(resolve),
        reject: (error) => settle(() => reject(error)),
      }
      const onAbort = () => this.#abandon(caller)
      signal?.addEventListener('abort', onAbort)
      this.#callers.add(caller)
      this.#begin(session, false)
    })
  }

  /** After each take-over. `required`: the rows are of an older fold. */
  async tend(session: ProjectorSession, required: boolean): Promise<void> {
    if (this.#swapped) {
      this.#swapped = false
      for (const caller of this.#callers) caller.resolve()
    }
    const leftover = await session.leftover()
    const resumed = leftover?.logId === this.#settings.log.logId && leftover.foldVersion === foldVersion
    // A newer node began it, and will resume it.
    const ofNewer = leftover?.logId === this.#settings.log.logId && leftover.foldVersion > foldVersion
    if (required || resumed || this.#callers.size > 0) this.#begin(session, required)
    else if (leftover !== null && !ofNewer && this.#current === null) this.#dropping = this.#drop(session.epoch)
  }

  /** The projection stands still at `position`. True: the rows are others now. */
  async swap(position: bigint): Promise<boolean> {
    const rebuild = this.#current
    if (rebuild === null || !(await rebuild.swap(position))) return false
    await rebuild.ended
    return true
  }

  /** The session is over. Whoever projects next resumes what is under way. */
  async breakOff(): Promise<void> {
    await this.#current?.stop()
    await this.#dropping
  }

  refuse(error: Error): void {
    for (const caller of this.#callers) caller.reject(error)
  }

  /** Unless one is under way. */
  #begin(session: ProjectorSession, required: boolean): void {
    if (this.#current !== null) return
    this.#failure = null
    const rebuild = new Rebuild(this.#settings, {
      required,
      ownerEpoch: () => session.epoch,
      onAsk: this.#onChange,
      onProgress: (progress) => {
        for (const { options } of this.#callers) options.onProgress?.(progress)
      },
    })
    this.#current = rebuild
    void rebuild.ended.then((outcome) => this.#end(outcome))
  }

  async #drop(epoch: bigint): Promise<void> {
    try {
      await this.#settings.store.dropShadow(epoch)
    } catch (error) {
      this.#settings.logger?.warn({ err: error }, 'what an earlier rebuild left behind could not be dropped')
    }
  }

  #end(outcome: RebuildOutcome): void {
    this.#current = null
    // Callers are told once the projector has taken up the new rows.
    if (outcome.kind === 'swapped') this.#swapped = true
    if (outcome.kind === 'failed') {
      this.#failure = outcome.error
      this.#settings.logger?.error({ err: outcome.error }, 'the rebuild failed; the rows are as they were')
      this.refuse(outcome.error)
    }
    this.#onChange()
  }

  #abandon(caller: Caller): void {
    caller.reject(abandoned())
    if (this.#current?.required === false) this.#current.abandon(abandoned())
  }
}

function abandoned(): Error {
  return new Error('the rebuild was abandoned')
}
