// The HTTP contract as types. Written out rather than inferred, so that whoever imports the client needs neither the
// service's code nor its packages; test/client/contract.test.ts holds each type against the schema of the service.

export type Json = null | boolean | number | string | readonly Json[] | JsonObject

export interface JsonObject {
  readonly [member: string]: Json
}

/** What `open` sends. Without an `id` the server makes one from the caller's name and the key. */
export interface OpenOperation {
  id?: string
  pipeline: string
  /** Default: the newest. */
  pipelineVersion?: number
  theme?: string | null
  data?: JsonObject
  metadata?: JsonObject
}

export interface Report {
  /** Who reports. */
  service: string
  status: string
  /** Default: the pipeline's only track, or `main`. */
  track?: string
  /** The service's own counter, 0 to 2^53-1. */
  sequence?: number
  /** RFC 3339; decides only in a pipeline with `orderBy: "observedAt"`. */
  observedAt?: string
  /** Merge patch (RFC 7396) onto the operation's data. */
  data?: JsonObject
  /** Merge patch (RFC 7396) onto the operation's metadata. */
  metadata?: JsonObject
  /** Opens the operation in this pipeline when it is not there yet. */
  pipeline?: string
  pipelineVersion?: number
  /** Ends the operation; in pipeline `any` only. */
  final?: 'succeeded' | 'failed'
}

export interface Receipt {
  operation: string
  /** The idempotency key. */
  command: string
  outcome: 'opened' | 'applied' | 'ignored' | 'held'
  /** Why it was ignored or held. */
  reason?:
    | 'older_sequence'
    | 'duplicate'
    | 'overtaken'
    | 'unreachable'
    | 'operation_ended'
    | 'too_large'
    | 'predecessor_missing'
    | 'requirement_unmet'
  /** Of the last event appended; the current one when nothing was. */
  revision: number
  /** Opaque: pass it on as `minPosition`. */
  position: string
}

/** A condition that is not met yet: `track` must have reached one of `in`. */
export interface WaitingFor {
  track: string
  in: string[]
  /** Where that track stands; null when it has not started. */
  is: string | null
}

/** A status one transition ahead. */
export interface NextStatus {
  status: string
  /** Whether a report would bring the track there now. */
  ready: boolean
  /** The status can never be entered any more. */
  unreachable?: true
  waitingFor?: WaitingFor[]
}

export interface HeldReport {
  command: string
  service: string
  status: string
  /** Why it waits now. */
  reason: 'predecessor_missing' | 'requirement_unmet'
  waitingFor?: WaitingFor[]
  heldAt: string
  sequence?: number
  observedAt?: string
  data?: JsonObject
  metadata?: JsonObject
}

export interface Track {
  phase: 'waiting' | 'active' | 'final' | 'skipped'
  status: string | null
  since: string | null
  /** The service whose report set the status. */
  by: string | null
  /** When that report was observed, if it said so. */
  observedAt: string | null
  /** When the last report of the track was recorded, whatever became of it. */
  heardAt: string | null
  next: NextStatus[]
  held: HeldReport[]
}

export interface Operation {
  id: string
  pipeline: { name: string; version: number }
  theme: string | null
  state: 'active' | 'succeeded' | 'failed'
  /** Active, though no status of any track can be entered any more. */
  blocked: boolean
  tracks: Record<string, Track>
  data: JsonObject
  metadata: JsonObject
  /** 0-based index of the operation's last event in its stream. */
  revision: number
  /** Of the operation's last event; opaque. */
  position: string
  openedAt: string
  updatedAt: string
  /** The read model could not fold the operation from this revision on. */
  parked?: { revision: number; reason: string }
}

/** An event as it is stored. */
export interface RecordedEvent {
  stream: string
  revision: number
  /** Opaque: pass it on as `after`. */
  position: string
  id: string
  type: string
  data: JsonObject
  metadata: JsonObject
}

export interface Condition {
  track: string
  in: string[]
}

export interface JoinCondition extends Condition {
  /** A track that is skipped meets the condition as well. */
  orSkipped?: boolean
}

export interface TrackDefinition {
  initial: string
  transitions: Record<string, string[]>
  final: Record<string, 'succeeded' | 'failed'>
  startsWhen?: Condition
  requires?: Record<string, JoinCondition[]>
}

export interface PipelinePolicies {
  outOfOrder: 'reject' | 'advance' | 'hold'
  lateData?: 'fill' | 'record'
  recordIgnored?: boolean
  /** What tells which of two reports is the newer one. Default `sequence`. */
  orderBy?: 'sequence' | 'observedAt'
}

/** One track as a list of statuses, or tracks written out. */
export type PipelineDefinition =
  | (PipelinePolicies & { statuses: string[] })
  | (PipelinePolicies & { tracks: Record<string, TrackDefinition> })

export interface Pipeline {
  name: string
  version: number
  /** The long form. */
  definition: JsonObject
  /** Null for what is built in. */
  definedAt: string | null
}

export interface DefinedPipeline extends Pipeline {
  /** The idempotency key. */
  command: string
  outcome: 'defined' | 'unchanged'
  revision: number | null
  position: string
}

export interface Stats {
  pipelines: Record<
    string,
    { operations: number; states: Record<string, number>; tracks: Record<string, Record<string, number>> }
  >
  /** Up to where the read model is folded. */
  position: string
  /** The log's last position. */
  head: string
  /** Only while the log does not answer: when `head` was last read; null: not by the process that answers. */
  headReadAt?: string | null
  lagMs: number
  /** Operations whose stream could not be folded. */
  parked: number
}

/** One value, or several: any of them will do. */
export type OneOrMore<T> = T | readonly T[]

/** Which operations a list or a live stream is about. */
export interface OperationFilter {
  pipeline?: OneOrMore<string>
  /** With `status`: the status of this track. Without: operations that have a track of this name. */
  track?: string
  /** Without `track`: of any track. */
  status?: OneOrMore<string>
  state?: OneOrMore<Operation['state']>
  idPrefix?: string
  theme?: string
  /** Top-level members of the metadata that must have these values; 10 at most. */
  metadata?: Readonly<Record<string, string>>
  /** RFC 3339, exclusive. */
  updatedAfter?: string
  /** RFC 3339, exclusive. */
  updatedBefore?: string
  /** Whether reports are held. */
  held?: boolean
  /** Whether the operation is active, though no status of any track can be entered any more. */
  blocked?: boolean
  /** `failed`: a track has ended so, whatever the state of the operation. */
  anyTrack?: 'failed'
}

/** Which operations a list is about: also those that come to match by waiting, which no live stream tells of. */
export interface OperationListFilter extends OperationFilter {
  /** RFC 3339, exclusive: when the track in `track`, else the default one, got the status in which it stands. */
  sinceAfter?: string
  /** RFC 3339, exclusive. */
  sinceBefore?: string
  /** RFC 3339, exclusive: no report was recorded at that time or later. */
  heardBefore?: string
}

/** `since`: the longest in its status first; those whose track has none last. */
export type SortOrder = '-updatedAt' | 'updatedAt' | 'id' | '-openedAt' | 'since'

/** The codes this client knows; a newer service may have more. */
export type KnownProblemCode =
  | 'invalid'
  | 'unauthorised'
  | 'forbidden'
  | 'not_found'
  | 'method_not_allowed'
  | 'not_acceptable'
  | 'timeout'
  | 'operation_exists'
  | 'key_exists'
  | 'keys_full'
  | 'operator_needed'
  | 'not_parked'
  | 'projection_paused'
  | 'rebuild_under_way'
  | 'pipeline_mismatch'
  | 'unknown_status'
  | 'transition_not_allowed'
  | 'requirement_unmet'
  | 'unreachable'
  | 'held_full'
  | 'removed'
  | 'another_log'
  | 'revision_mismatch'
  | 'too_large'
  | 'unsupported_media_type'
  | 'key_reused'
  | 'claim_held'
  | 'not_tried'
  | 'rate_limited'
  | 'headers_too_large'
  | 'internal'
  | 'tampered'
  | 'unreadable'
  | 'contention'
  | 'log_unavailable'
  | 'not_yet_visible'
  | 'outcome_unknown'
  | 'overloaded'
  | 'read_model_unavailable'
  | 'keys_unavailable'
  | 'not_ready'

export type ProblemCode = KnownProblemCode | (string & {})

export interface Fault {
  in: 'body' | 'query' | 'path' | 'header'
  /** JSON pointer; for a header or parameter, "/" and its name. */
  pointer: string
  detail: string
}

/** RFC 9457 problem details. */
export interface ProblemDocument {
  type: string
  title: string
  status: number
  detail: string
  instance: string
  code: ProblemCode
  errors?: Fault[] | undefined
  operation?: string | undefined
  command?: string | undefined
  track?: string | undefined
  currentStatus?: string | null | undefined
  allowedStatuses?: string[] | undefined
  /** The actual revision. */
  revision?: number | undefined
  position?: string | undefined
  /** 412: what happened since the expected revision. */
  events?: RecordedEvent[] | undefined
}
