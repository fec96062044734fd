import type { ReportedFacts } from './events.ts'
import { markedServicesMax } from './limits.ts'
import type { CompiledPipeline } from './pipeline.ts'
import type { HeldReport, OperationState, TrackState } from './state.ts'

/** What tells whether a report is newer than another one of its service on the same track. */
export type Mark =
  | { readonly by: 'sequence'; readonly value: number }
  /** Milliseconds since 1970. */
  | { readonly by: 'observedAt'; readonly value: number }

/**
 * What a report is marked by: its sequence, or, where the pipeline orders by observed times and it has none, its observed
 * time, which counts as `recordedAt` where the sender's clock is ahead. Null: nothing tells.
 */
export function markOf(
  pipeline: CompiledPipeline,
  facts: Pick<ReportedFacts, 'sequence' | 'observedAt'>,
  recordedAt: string,
): Mark | null {
  if (facts.sequence !== undefined) return { by: 'sequence', value: facts.sequence }
  const value = observedMs(pipeline, facts, recordedAt)
  return value === null ? null : { by: 'observedAt', value }
}

/** Null where observed times decide nothing, or the report has none. */
export function observedMs(
  pipeline: CompiledPipeline,
  { observedAt }: Pick<ReportedFacts, 'observedAt'>,
  recordedAt: string,
): number | null {
  if (!pipeline.ordersByTime || observedAt === undefined) return null
  return Math.min(Date.parse(observedAt), Date.parse(recordedAt))
}

/** Below its service's mark, or of its very sequence (two reports observed at one time are no duplicates); else null. */
export function lateness(track: TrackState, service: string, mark: Mark | null): 'older_sequence' | 'duplicate' | null {
  if (mark === null) return null
  const marks = marksOf(track, mark)
  const last = Object.hasOwn(marks, service) ? marks[service] : undefined
  if (last === undefined || mark.value > last) return null
  if (mark.value < last) return 'older_sequence'
  return mark.by === 'sequence' ? 'duplicate' : null
}

/** A track's memory of marks is bounded: a service that it does not know yet may find it full. */
export function isMarkMemoryFull(track: TrackState, service: string, mark: Mark | null): boolean {
  if (mark === null) return false
  const marks = marksOf(track, mark)
  return !Object.hasOwn(marks, service) && Object.keys(marks).length >= markedServicesMax
}

/** The track's marks with this one, or null when it is not above what is remembered, or its memory is full. */
export function raisedMarks(
  track: TrackState,
  service: string,
  mark: Mark,
): Pick<TrackState, 'marks'> | Pick<TrackState, 'observedMarks'> | null {
  const marks = marksOf(track, mark)
  const last = Object.hasOwn(marks, service) ? marks[service] : undefined
  if (last !== undefined ? mark.value <= last : isMarkMemoryFull(track, service, mark)) return null
  // A computed member defines an own one, whatever the service calls itself.
  const raised = { ...marks, [service]: mark.value }
  return mark.by === 'sequence' ? { marks: raised } : { observedMarks: raised }
}

function marksOf(track: TrackState, mark: Mark): Readonly<Record<string, number>> {
  return mark.by === 'sequence' ? track.marks : track.observedMarks
}

/**
 * The held report that says the same: of one service, track, status and sequence. Where observed times order the reports
 * without a sequence, two of different times are two.
 */
export function equalHeld(state: OperationState, status: string, facts: ReportedFacts): HeldReport | undefined {
  const { held, pipeline } = state
  return held.find(
    (report) =>
      report.status === status &&
      report.facts.service === facts.service &&
      report.facts.track === facts.track &&
      report.facts.sequence === facts.sequence &&
      (!pipeline.ordersByTime || facts.sequence !== undefined || report.facts.observedAt === facts.observedAt),
  )
}
