import type { ReportStatus } from './commands.ts'
import type {
  DataMerged,
  FinalOutcome,
  HeldReason,
  IgnoredReason,
  OperationEvent,
  ReportedFacts,
  ReportHeld,
  ReportIgnored,
  StatusChanged,
} from './events.ts'

// The events that record a report. Members are set one by one, in the order in which people read them in the log (what
// happened first, documents last); spreads took longer than all the rest of a decision.

type Draft<T> = { -readonly [Member in keyof T]: T[Member] }

export function reportedFacts(report: ReportStatus, track: string): ReportedFacts {
  return carrying({ track, service: report.service }, report)
}

export function statusChanged(
  facts: ReportedFacts,
  from: string | null,
  to: string,
  final: FinalOutcome | undefined,
): OperationEvent {
  const change: Draft<StatusChanged> = { track: facts.track, from, to, service: facts.service }
  if (final !== undefined) change.final = final
  return { type: 'StatusChanged', data: carrying(change, facts) }
}

export function dataMerged(facts: ReportedFacts, status: string): OperationEvent {
  const merged: Draft<DataMerged> = { track: facts.track, status, service: facts.service }
  return { type: 'DataMerged', data: carrying(merged, facts) }
}

export function reportHeld(facts: ReportedFacts, status: string, reason: HeldReason): OperationEvent {
  const held: Draft<ReportHeld> = { track: facts.track, status, service: facts.service, reason }
  return { type: 'ReportHeld', data: carrying(held, facts) }
}

export function reportIgnored(facts: ReportedFacts, status: string, reason: IgnoredReason): OperationEvent {
  const ignored: Draft<ReportIgnored> = { track: facts.track, status, service: facts.service, reason }
  return { type: 'ReportIgnored', data: carrying(ignored, facts) }
}

function carrying<T extends Draft<ReportedFacts>>(target: T, from: Omit<ReportedFacts, 'track'>): T {
  if (from.sequence !== undefined) target.sequence = from.sequence
  if (from.observedAt !== undefined) target.observedAt = from.observedAt
  if (from.data !== undefined) target.data = from.data
  if (from.metadata !== undefined) target.metadata = from.metadata
  return target
}
