import type { OpenOperation, ReportStatus } from './commands.ts'
import type {
  DataMerged,
  FinalOutcome,
  HeldReason,
  IgnoredReason,
  OmittedDocument,
  OperationDescribed,
  OperationEvent,
  ReportedFacts,
  ReportHeld,
  ReportIgnored,
  StatusChanged,
} from './events.ts'

// The events that record a report. Members are set one by one, in the order in which people read them in the log (what
// happened first, documents last); spreads took longer than all the rest of a decision.

/** Documents that were left out; none as a rule. */
type Omitted = readonly OmittedDocument[] | undefined

type Draft<T> = { -readonly [Member in keyof T]: T[Member] }

export function reportedFacts(report: ReportStatus, track: string): ReportedFacts {
  return carrying({ track, service: report.service }, report)
}

export function statusChanged(
  facts: ReportedFacts,
  from: string | null,
  to: string,
  final: FinalOutcome | undefined,
  omitted?: Omitted,
): OperationEvent {
  const change: Draft<StatusChanged> = { track: facts.track, from, to, service: facts.service }
  if (final !== undefined) change.final = final
  if (omitted !== undefined) change.omitted = omitted
  return { type: 'StatusChanged', data: carrying(change, facts) }
}

export function dataMerged(facts: ReportedFacts, status: string, omitted?: Omitted): OperationEvent {
  const merged: Draft<DataMerged> = { track: facts.track, status, service: facts.service }
  if (omitted !== undefined) merged.omitted = omitted
  return { type: 'DataMerged', data: carrying(merged, facts) }
}

export function reportHeld(facts: ReportedFacts, status: string, reason: HeldReason): OperationEvent {
  const held: Draft<ReportHeld> = { track: facts.track, status, service: facts.service, reason }
  return { type: 'ReportHeld', data: carrying(held, facts) }
}

export function operationDescribed({ theme, data, metadata }: OpenOperation): OperationEvent {
  const described: Draft<OperationDescribed> = {}
  if (theme !== undefined && theme !== null) described.theme = theme
  if (data !== undefined) described.data = data
  if (metadata !== undefined) described.metadata = metadata
  return { type: 'OperationDescribed', data: described }
}

export function reportIgnored(
  facts: ReportedFacts,
  status: string,
  reason: IgnoredReason,
  omitted?: Omitted,
): OperationEvent {
  const ignored: Draft<ReportIgnored> = { track: facts.track, status, service: facts.service, reason }
  if (omitted !== undefined) ignored.omitted = omitted
  return { type: 'ReportIgnored', data: carrying(ignored, facts) }
}

export function withoutDocuments({ data: _data, metadata: _metadata, ...facts }: ReportedFacts): ReportedFacts {
  return facts
}

function carrying<T extends Draft<ReportedFacts>>(target: T, from: Omit<ReportedFacts, 'track'>): T {
  if (from.sequence !== undefined) target.sequence = from.sequence
  if (from.observedAt !== undefined) target.observedAt = from.observedAt
  if (from.data !== undefined) target.data = from.data
  if (from.metadata !== undefined) target.metadata = from.metadata
  return target
}
