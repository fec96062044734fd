/**
 * What operators ask of a projection, on any node: it is kept in the database, and done by the node that projects. All of it
 * throws ReadModelUnavailableError when the database does not answer.
 */
export interface ProjectionControl {
  readonly name: string

  state(): Promise<ProjectionState>

  /**
   * From the moment this has settled on, nothing more is folded, on any node, until `resume`; whatever dies meanwhile. Reads
   * go on. Changes nothing when it is paused already.
   */
  pause(by: string): Promise<ProjectionState>

  /** The node that projects resumes within a second. Changes nothing when it is not paused. */
  resume(): Promise<ProjectionState>

  /** Asks for a rebuild: begun within a second by the node that projects, begun anew by the next one when that dies. */
  askRebuild(by: string): Promise<AskedRebuild>

  /** One that was asked for, ended or not; null when it is not known (any more: the last 100 are kept). */
  rebuild(id: string): Promise<RebuildRecord | null>
}

export type AskedRebuild =
  | { readonly kind: 'asked'; readonly rebuild: RebuildRecord }
  /** The one that has not ended yet. */
  | { readonly kind: 'under_way'; readonly rebuild: RebuildRecord }
  | { readonly kind: 'paused' }

export interface ProjectionState {
  /** Up to which the log is folded. */
  readonly position: bigint
  readonly epoch: bigint
  /** Null before the first projector. */
  readonly foldVersion: number | null
  /** The node that took the projection over last; null before the first. It may have died since: another takes over within 2 s. */
  readonly owner: { readonly node: string; readonly since: string } | null
  readonly paused: { readonly since: string; readonly by: string } | null
  /** Streams set aside. */
  readonly parked: number
  /** Of those, the ones whose hash chain is broken. */
  readonly tampered: number
  /** The last that was asked for. */
  readonly rebuild: RebuildRecord | null
}

export interface RebuildRecord {
  /** UUID. */
  readonly id: string
  /** Folded anew up to here. */
  readonly position: bigint
  readonly head: bigint
  readonly askedAt: string
  readonly askedBy: string
  /** Of the last attempt; null before the first. */
  readonly beganAt: string | null
  readonly node: string | null
  readonly attempts: number
  /** Null until it has ended. */
  readonly endedAt: string | null
  readonly outcome: 'done' | 'failed' | null
  /** Why it failed; null otherwise. */
  readonly problem: string | null
}
