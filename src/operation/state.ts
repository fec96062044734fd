import type { DeletedPaths } from './deletedPaths.ts'
import type { Document } from './document.ts'
import type { FinalOutcome, HeldReason, ReportedFacts } from './events.ts'
import type { CompiledPipeline } from './pipeline.ts'

export type TrackPhase = 'waiting' | 'active' | 'final' | 'skipped'
export type OperationPhase = 'active' | 'succeeded' | 'failed'

export interface TrackState {
  readonly phase: TrackPhase
  /** Null while the track waits, and in pipeline `any` before the first report. */
  readonly status: string | null
  /** `recordedAt` of the event that set the status; null while there is none. */
  readonly since: string | null
  /** The service whose report set the status; null for an initial status that no report named. */
  readonly by: string | null
  /** `observedAt` of the report that set the status; null where it named none. */
  readonly observedAt: string | null
  /** `recordedAt` of the last report on this track that was recorded, whatever became of it; null before the first. */
  readonly heardAt: string | null
  /** Every status this track has reached (`passedBetween` says what a jump reaches). Empty in pipeline `any`, which never asks. */
  readonly reached: readonly string[]
  /**
   * Per service its mark: the highest `sequence` of its reports on this track that were applied, merged or ignored. Ask with
   * `Object.hasOwn`: services name themselves.
   */
  readonly marks: Readonly<Record<string, number>>
  /** The same for the reports without a sequence, in milliseconds since 1970; empty unless the pipeline says `orderBy: "observedAt"`. */
  readonly observedMarks: Readonly<Record<string, number>>
  /** The latest observed time of a report of the current status, in ms; null for none, and unless `orderBy: "observedAt"`. */
  readonly observedMs: number | null
  /** How the track ended; null unless `phase` is `final`. */
  readonly outcome: FinalOutcome | null
}

/** A report that waits for its turn, with what its release must carry. */
export interface HeldReport {
  readonly key: string
  readonly requestHash: string
  readonly actor: string
  readonly traceparent?: string
  /** How many events the stream holds under `key` so far (the release's event id counts on from it). */
  readonly keyEvents: number
  /** UTF-8 bytes of the held event's data. */
  readonly bytes: number
  readonly status: string
  readonly reason: HeldReason
  readonly heldAt: string
  readonly facts: ReportedFacts
}

/** An operation folded from its stream. Immutable: a fold makes a new one and shares what did not change. */
export interface OperationState {
  readonly id: string
  readonly pipeline: CompiledPipeline
  readonly theme: string | null
  readonly state: OperationPhase
  readonly tracks: Readonly<Record<string, TrackState>>
  /** In order of arrival. */
  readonly held: readonly HeldReport[]
  readonly data: Document
  readonly metadata: Document
  /** What patches said is gone, which late data must not bring back; null once there were too many paths to remember. */
  readonly deleted: DeletedPaths | null
  /** Upper bounds of the UTF-8 bytes of the JSON text of `data` and `metadata`, so that most reports need no measuring. */
  readonly dataBytesMax: number
  readonly metadataBytesMax: number
  /** Of the stream's last event. */
  readonly revision: bigint
  /** Of the last event that was more than a `ReportIgnored` that filled nothing: what was read since then still stands. */
  readonly changedRevision: bigint
  readonly lastHash: string
  readonly openedAt: string
  readonly updatedAt: string
  /** The key of the command that opened the operation. */
  readonly openedBy: string
  /** True while a report opened the operation and no open has described it yet. */
  readonly undescribed: boolean
}

/** A track of the operation's own pipeline. Throws for another name: callers have checked it against the pipeline. */
export function trackOf(state: OperationState, name: string): TrackState {
  const track = Object.hasOwn(state.tracks, name) ? state.tracks[name] : undefined
  if (track === undefined) throw new Error(`operation ${state.id} has no track ${name}`)
  return track
}
