import { stateVersion } from '../operation/stateJson.ts'
import type { Batch } from './batch.ts'
import type { LoadedOperation } from './folding.ts'
import type { ParkedStreams } from './parking/parkedStreams.ts'
import type { ProjectedPipelines } from './projectedPipelines.ts'

/** One projection for now: operations, their counts, and the pipelines they name move on together. */
export const projectionName = 'operations'

/**
 * Raised when other rows are made of the same states: 2 since only so many statuses of `any` are counted by name, 3 since the
 * others are facets.
 */
const rowsVersion = 3

/**
 * Of the rows' meaning: the rows of another one are projected anew. Raised with either of the two, as a fold may make other
 * states of the same events, or the same states may make other rows.
 */
export const foldVersion = stateVersion + rowsVersion

/**
 * Where the projector keeps rows and checkpoint, and who may write them: the port between the folding of the log and a
 * database. PostgreSQL's is postgresProjectionStore.ts. Whatever a database throws besides the errors below means that
 * it cannot be reached now.
 */
export interface ProjectionStore {
  connect(): Promise<ProjectorSession>

  /**
   * Goes on with a rebuild of this log and fold that was broken off, or begins one. `ownerEpoch` is that of the projection's
   * owner. From here on, nobody else writes the shadow. Its connection ends, whatever is under way, when `signal` aborts.
   * Throws FencedError.
   */
  openShadow(options: ShadowOptions): Promise<ShadowSession>

  /** Drops the shadow, whoever wrote it. Throws FencedError. */
  dropShadow(ownerEpoch: bigint): Promise<void>
}

/** The projector's connection: it holds the projection's lock, until it ends. */
export interface ProjectorSession {
  /** Set when the connection is gone, and the lock with it. */
  readonly lost: Error | null
  /** Of the last take-over. */
  readonly epoch: bigint
  /** As their owner since the last take-over. */
  readonly rows: FoldedRows
  /** 0n when the rows are of another log. */
  checkpoint(logId: string): Promise<bigint>
  /** Whether an operator has paused the projection by now. */
  isPaused(): Promise<boolean>
  tryLock(): Promise<boolean>
  /** Raises the epoch: from here on, whoever held the projection before writes nothing more. */
  takeOver(): Promise<Ownership>
  /** Drops all rows: they belong to another log and mean nothing any more. Readers see the empty model until it is folded. */
  startOver(logId: string): Promise<void>
  /** Of a rebuild that is under way or was broken off; null when there is none. */
  leftover(): Promise<Leftover | null>
  /** Ends the connection at once, and with it whatever is under way. */
  close(): Promise<void>
}

export interface Ownership {
  readonly epoch: bigint
  readonly position: bigint
  /** Null before the first projector. */
  readonly logId: string | null
  /** `foldVersion` of who wrote the rows; null before the first projector. */
  readonly foldVersion: number | null
  /** Whether an operator has paused the projection: then nothing may be written. */
  readonly paused: boolean
}

/** What a rebuild that did not end has left behind. */
export interface Leftover {
  readonly logId: string
  readonly foldVersion: number
}

/** One set of rows, as their writer of one epoch has them. */
export interface FoldedRows {
  /** The definitions folded so far. */
  loadPipelines(catalogue: ProjectedPipelines): Promise<void>
  /** The statuses of pipeline `any` that are counted by name so far. */
  loadCountedStatuses(): Promise<readonly string[]>
  /** Those that are parked, some at a time. */
  loadParked(parked: ParkedStreams): Promise<void>
  /** Operations as their rows have them; those without a row are left out. */
  loadStates(ids: readonly string[], catalogue: ProjectedPipelines): Promise<readonly LoadedOperation[]>
  /**
   * Writes rows, counts and checkpoint, all or nothing, and nothing unless the checkpoint is at `from` and of this epoch.
   * Throws FencedError, RefusedDataError, or what the connection threw: then nobody knows whether it was written.
   */
  commit(batch: Batch): Promise<void>
}

export interface ShadowOptions {
  readonly ownerEpoch: bigint
  readonly logId: string
  readonly signal: AbortSignal
}

/** `held`: somebody is reading; `behind`: the shadow is not as far as the rows in use. Nothing was changed then. */
export type SwapOutcome = 'swapped' | 'held' | 'behind'

/** The connection of a rebuild, which writes a second set of rows. */
export interface ShadowSession {
  /** As their writer since the session was opened. */
  readonly rows: FoldedRows
  /** Up to where they were folded then. */
  readonly position: bigint
  /** Makes the indexes that reads need and the fold does not, unless they are there. Takes minutes for millions of rows. */
  makeIndexes(): Promise<void>
  /** Waits until nothing works on the rows that a swap would have to wait for; false when something does for long. */
  awaitVacuums(): Promise<boolean>
  /**
   * Puts the shadow in the place of the rows in use and raises the projection's epoch, all or nothing. Throws FencedError,
   * MigratedError.
   */
  swap(ownerEpoch: bigint): Promise<SwapOutcome>
  /** Ends the connection at once, and with it whatever is under way. The shadow stays as it is. */
  close(): Promise<void>
}

/** The checkpoint has another epoch or position than this writer's: another has taken over. Nothing was written. */
export class FencedError extends Error {
  override readonly name = 'FencedError'
}

/** The database refuses the data itself: trying again changes nothing. Nothing was written. */
export class RefusedDataError extends Error {
  override readonly name = 'RefusedDataError'
  readonly batch: Batch

  constructor(batch: Batch, message: string, options?: ErrorOptions) {
    super(message, options)
    this.batch = batch
  }
}

/** The rows in use were given another form during the rebuild: it has to begin anew. */
export class MigratedError extends Error {
  override readonly name = 'MigratedError'
}

/** Somebody made a view of a table in use: it cannot be dropped. */
export class ViewInTheWayError extends Error {
  override readonly name = 'ViewInTheWayError'
}
