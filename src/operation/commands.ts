import type { FinalOutcome } from './events.ts'
import type { JsonObject } from './json.ts'

/** Who sends a command, and under which idempotency key. */
export interface CommandEnvelope {
  /** The operation's id. */
  readonly operation: string
  /** Idempotency key, 1-255 visible ASCII characters, scoped to the operation. */
  readonly key: string
  /** True when the caller sent no key and the server made this one. */
  readonly keyGenerated?: true
  /** See `EventMetadata.requestHash`. The same key with another hash is refused: `key_reused`. */
  readonly requestHash: string
  readonly actor: string
  /** The pipelines whose operations its sender may change. Undefined: all. */
  readonly pipelinesAllowed?: readonly string[]
  readonly traceparent?: string
  /**
   * The revision the caller saw last (`If-Match`); -1n never occurs. Undefined: any. Holds as well while all events since
   * are ignored reports that filled nothing.
   */
  readonly expectedRevision?: bigint
}

export interface OpenOperation {
  readonly type: 'OpenOperation'
  readonly pipeline: string
  /** Pins a version of the pipeline; undefined: the newest. */
  readonly pipelineVersion?: number
  readonly theme?: string | null
  readonly data?: JsonObject
  readonly metadata?: JsonObject
}

export interface ReportStatus {
  readonly type: 'ReportStatus'
  readonly service: string
  readonly status: string
  /** Undefined: the pipeline's only track, or `main`. */
  readonly track?: string
  readonly sequence?: number
  readonly observedAt?: string
  readonly data?: JsonObject
  readonly metadata?: JsonObject
  /** Opens the operation with this pipeline when it is not there yet, in the same append. */
  readonly pipeline?: string
  readonly pipelineVersion?: number
  /** Only in pipeline `any`. */
  readonly final?: FinalOutcome
}

export type CommandBody = OpenOperation | ReportStatus

export interface Command extends CommandEnvelope {
  readonly body: CommandBody
}

/** `allowed` as in `CommandEnvelope.pipelinesAllowed`. */
export function isOutsidePipelines(allowed: readonly string[] | undefined, pipeline: string): boolean {
  return allowed !== undefined && !allowed.includes(pipeline)
}
