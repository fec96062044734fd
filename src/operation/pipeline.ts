import type { FinalOutcome } from './events.ts'

export type OutOfOrder = 'reject' | 'advance' | 'hold'

export interface TrackCondition {
  readonly track: string
  /** Holds once one of them was reached. */
  readonly in: readonly string[]
}

export interface TrackDefinition {
  /** Null only in pipeline `any`. */
  readonly initial: string | null
  readonly transitions: Readonly<Record<string, readonly string[]>>
  readonly final: Readonly<Record<string, FinalOutcome>>
  readonly startsWhen?: TrackCondition
  /** By target status: all conditions must hold before a track may enter it. */
  readonly requires?: Readonly<Record<string, readonly TrackCondition[]>>
}

/** The normalised long form: what `PipelineDefined` records. */
export interface PipelineDefinition {
  readonly outOfOrder: OutOfOrder
  readonly lateData: 'fill' | 'record'
  readonly recordIgnored: boolean
  readonly tracks: Readonly<Record<string, TrackDefinition>>
}

/** One version of a definition with everything the decider asks of it worked out once. */
export interface CompiledPipeline {
  readonly name: string
  readonly version: number
  readonly definition: PipelineDefinition
  /** True for the built-in `any`: every report applies. */
  readonly any: boolean
}
