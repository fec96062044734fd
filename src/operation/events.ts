import type { JsonObject } from './json.ts'
import type { PipelineDefinition } from './pipeline.ts'

/** What a service said in one report, as it is carried by every event that records a report. */
export interface ReportedFacts {
  readonly track: string
  readonly service: string
  /** The service's own counter for its reports on this track, 0 to 2^53-1. */
  readonly sequence?: number
  /** RFC 3339 UTC with milliseconds: when the service saw it happen. Decides only where the pipeline says `orderBy: "observedAt"`. */
  readonly observedAt?: string
  /** Merge patch (RFC 7396) onto the operation's data. */
  readonly data?: JsonObject
  /** Merge patch (RFC 7396) onto the operation's metadata. */
  readonly metadata?: JsonObject
}

export interface PipelineReference {
  readonly name: string
  readonly version: number
}

export interface OperationOpened {
  readonly pipeline: PipelineReference
  readonly theme: string | null
  readonly data: JsonObject
  readonly metadata: JsonObject
}

/** The open that came after a report had opened the operation: what it says fills in what is absent. */
export interface OperationDescribed {
  readonly theme?: string
  readonly data?: JsonObject
  readonly metadata?: JsonObject
}

/** A document that a released or dropped report came with and that would have broken a size limit: left out. */
export type OmittedDocument = 'data' | 'metadata'

interface MayOmit {
  /** Never empty. */
  readonly omitted?: readonly OmittedDocument[]
}

/** `from` is null when the track had no status yet (pipeline `any`). `final` is only ever there in pipeline `any`. */
export interface StatusChanged extends ReportedFacts, MayOmit {
  readonly from: string | null
  readonly to: string
  readonly final?: FinalOutcome
}

/** A report of the current status that changed data or metadata only, or that opened the operation in its initial status. */
export interface DataMerged extends ReportedFacts, MayOmit {
  readonly status: string
}

export type HeldReason = 'predecessor_missing' | 'requirement_unmet'

/** A report that came before its turn and waits for it. */
export interface ReportHeld extends ReportedFacts {
  readonly status: string
  readonly reason: HeldReason
}

export type IgnoredReason =
  | 'older_sequence'
  | 'duplicate'
  | 'overtaken'
  /** Only for a held report that is dropped: its status can no longer be reached, or its track is skipped. Fills nothing. */
  | 'unreachable'
  /** The operation had ended: nothing that it holds is overwritten. */
  | 'operation_ended'
  /** Only in events of schema version 2 and before: a held report was dropped because its document was too large. */
  | 'too_large'

/** A report that changed no status, on record with all it carried. */
export interface ReportIgnored extends ReportedFacts, MayOmit {
  readonly status: string
  readonly reason: IgnoredReason
}

export type FinalOutcome = 'succeeded' | 'failed'

export type OperationEvent =
  | { readonly type: 'OperationOpened'; readonly data: OperationOpened }
  | { readonly type: 'OperationDescribed'; readonly data: OperationDescribed }
  | { readonly type: 'StatusChanged'; readonly data: StatusChanged }
  | { readonly type: 'DataMerged'; readonly data: DataMerged }
  | { readonly type: 'ReportHeld'; readonly data: ReportHeld }
  | { readonly type: 'ReportIgnored'; readonly data: ReportIgnored }

/** In the stream `pipeline-{name}`; `definition` is the normalised long form. */
export interface PipelineDefined {
  readonly version: number
  readonly definition: PipelineDefinition
}

/** In the stream `projection-{name}`: from here on the projection passes over that event, whether it could fold it or not. */
export interface EventSkipped {
  readonly stream: string
  /** 0 to 2^53-1. */
  readonly revision: number
  readonly reason: string
}

/** In the stream `projection-{name}`: the projection tries again, here, to fold a stream that it had set aside. */
export interface StreamRetried {
  readonly stream: string
  readonly reason?: string
}

export type ProjectionEvent =
  | { readonly type: 'EventSkipped'; readonly data: EventSkipped }
  | { readonly type: 'StreamRetried'; readonly data: StreamRetried }

/** The metadata stored with every event (docs/events.md). */
export interface EventMetadata {
  /** The idempotency key under which the event was appended. */
  readonly command: string
  /** SHA-256, base64url, over type, operation, expected revision and canonical body of the command (RFC 8785). */
  readonly requestHash: string
  readonly actor: string
  /** The operation's id (the pipeline's name on a pipeline's stream). */
  readonly $correlationId: string
  /** The key of the command whose append this is: `command` itself, or the releasing command's key for a released report. */
  readonly $causationId: string
  readonly traceparent?: string
  readonly schemaVersion: number
  /** The node's clock, RFC 3339 UTC with milliseconds; never below its predecessor's in the stream. */
  readonly recordedAt: string
  /** `hash` of the stream's event before; 64 zeros for revision 0. */
  readonly previousHash: string
  /** SHA-256, lower-case hex (see envelope.ts). */
  readonly hash: string
}
