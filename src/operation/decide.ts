import { type Command, isOutsidePipelines, type OpenOperation, type ReportStatus } from './commands.ts'
import { type DecideContext, type Decision, type Refusal, receiptOutcome } from './decision.ts'
import { type Draft, openedDraft, type PreparedEvent, prepared, record, tooLarge } from './draft.ts'
import type { IgnoredReason, OperationEvent, ReportedFacts } from './events.ts'
import { emptyObject, jsonBytes } from './json.ts'
import { judge } from './judge.ts'
import { equalHeld, isMarkMemoryFull, lateness, markOf, observedMs } from './lateness.ts'
import { changes } from './operationDocuments.ts'
import {
  atAnotherRevision,
  documentTooLarge,
  finalElsewhere,
  heldFull,
  inAnotherPipeline,
  noOperation,
  noPipeline,
  notNow,
  notYetThere,
  operationExists,
  outsidePipelines,
  tooManyMarks,
  unknownStatus,
} from './refusals.ts'
import { releaseHeld } from './releaseHeld.ts'
import {
  dataMerged,
  operationDescribed,
  reportedFacts,
  reportHeld,
  reportIgnored,
  statusChanged,
  withoutDocuments,
} from './reportEvents.ts'
import { type OperationState, trackOf } from './state.ts'

/**
 * What a command does to an operation: events, or a refusal. Pure, total, and the same for the same arguments.
 *
 * The caller has looked for the key's receipt before; checked here are, in this order: existence, whether the sender may,
 * the expected revision, the rules. Nothing of a refused command takes effect, also where it would have opened the operation.
 */
export function decide(command: Command, context: DecideContext): Decision {
  const { body } = command
  const { state } = context
  if (state === null) {
    return body.type === 'OpenOperation' ? open(command, body, context) : openAndReport(command, body, context)
  }
  if (isOutsidePipelines(command.pipelinesAllowed, state.pipeline.name)) {
    return refused(outsidePipelines(state.pipeline.name))
  }
  if (body.type === 'OpenOperation' && !state.undescribed) return refused(operationExists(state))
  const { expectedRevision } = command
  if (expectedRevision !== undefined && !stillStands(state, expectedRevision)) return refused(atAnotherRevision(state))
  const recordedAt = context.now > state.updatedAt ? context.now : state.updatedAt
  const draft: Draft = { events: [], recordedAt, limits: context.limits, state }
  if (body.type === 'OpenOperation') return describe(command, body, draft)
  if (isElsewhere(state, body)) return refused(inAnotherPipeline(state))
  return report(command, body, draft)
}

/** Ignored reports that filled nothing change nothing of what was read before them. */
function stillStands({ revision, changedRevision }: OperationState, expectedRevision: bigint): boolean {
  return expectedRevision <= revision && expectedRevision >= changedRevision
}

function isElsewhere({ pipeline }: OperationState, named: Pick<ReportStatus, 'pipeline' | 'pipelineVersion'>): boolean {
  return (
    (named.pipeline !== undefined && named.pipeline !== pipeline.name) ||
    (named.pipelineVersion !== undefined && named.pipelineVersion !== pipeline.version)
  )
}

function open(command: Command, body: OpenOperation, context: DecideContext): Decision {
  const draft = opening(command, context, body)
  return 'refusal' in draft ? draft : accepted(command, draft)
}

/** An open that comes after the report that opened the operation is taken once: it fills in what is absent. */
function describe(command: Command, body: OpenOperation, draft: Draft): Decision {
  const { state, limits } = draft
  if (isElsewhere(state, body)) return refused(inAnotherPipeline(state))
  const event = prepared(operationDescribed(body))
  const large = tooLarge(draft, body, event.dataBytes, 'describe')
  return large === null ? recorded(command, draft, event) : refused(documentTooLarge(large, limits))
}

function openAndReport(command: Command, body: ReportStatus, context: DecideContext): Decision {
  if (body.pipeline === undefined) return refused(noOperation)
  const draft = opening(command, context, {})
  if ('refusal' in draft) return draft
  const decision = report(command, body, draft)
  if (decision.kind === 'accepted') return decision
  // It is not opened then, and has no revision to tell.
  const { revision: _, ...refusal } = decision.refusal
  return refused(refusal)
}

function opening(
  command: Command,
  context: DecideContext,
  first: Pick<OpenOperation, 'theme' | 'data' | 'metadata'>,
): Draft | Extract<Decision, { kind: 'refused' }> {
  const { pipeline, limits } = context
  if (pipeline === null) return refused(noPipeline)
  if (command.expectedRevision !== undefined) return refused(notYetThere)
  const { theme = null, data = emptyObject, metadata = emptyObject } = first
  const reference = { name: pipeline.name, version: pipeline.version }
  const event = prepared({ type: 'OperationOpened', data: { pipeline: reference, theme, data, metadata } })
  const { dataBytesMax, metadataBytesMax } = limits
  if (event.dataBytes > dataBytesMax && jsonBytes(data) > dataBytesMax) return refused(documentTooLarge('data', limits))
  if (event.dataBytes > metadataBytesMax && jsonBytes(metadata) > metadataBytesMax) {
    return refused(documentTooLarge('metadata', limits))
  }
  return openedDraft(command.operation, pipeline, context.now, limits, command, event)
}

/** `draft` holds the operation as it stands, and the opening event if the report opens it. */
function report(command: Command, body: ReportStatus, draft: Draft): Decision {
  const { state } = draft
  const { pipeline } = state
  const track = pipeline.tracks.get(body.track ?? pipeline.defaultTrack ?? '')
  if (track === undefined || (!pipeline.any && !track.graph.indexes.has(body.status))) {
    return refused(unknownStatus(state, body, track))
  }
  if (body.final !== undefined && !pipeline.any) return refused(finalElsewhere)
  const facts = reportedFacts(body, track.name)
  const standing = trackOf(state, track.name)
  const mark = markOf(pipeline, facts, draft.recordedAt)
  const late = lateness(standing, facts.service, mark)
  if (late !== null) return ignore(command, body, draft, facts, late)
  if (mark !== null && isMarkMemoryFull(standing, facts.service, mark)) return refused(tooManyMarks(mark))
  if (pipeline.any && state.state !== 'active') return ignore(command, body, draft, facts, 'operation_ended')
  if (state.held.length > 0 && equalHeld(state, body.status, facts) !== undefined) {
    return ignore(command, body, draft, facts, 'duplicate', 'keep')
  }
  const verdict = judge(state, track, body.status, observedMs(pipeline, facts, draft.recordedAt))
  switch (verdict.kind) {
    case 'refuse':
      return refused(notNow(state, track, body.status, verdict.code))
    case 'behind':
      return ignore(command, body, draft, facts, 'overtaken')
    case 'wait': {
      const event = prepared(reportHeld(facts, body.status, verdict.reason))
      const heldBytes = state.held.reduce((sum, held) => sum + held.bytes, event.dataBytes)
      if (state.held.length >= draft.limits.heldCountMax || heldBytes > draft.limits.heldBytesMax) {
        return refused(heldFull(state, track))
      }
      return recorded(command, draft, event)
    }
    case 'stay':
      return stay(command, body, draft, facts)
    case 'move':
      return applied(command, draft, facts, prepared(statusChanged(facts, standing.status, body.status, body.final)))
  }
}

/** A report of the status in which its track stands. */
function stay(command: Command, body: ReportStatus, draft: Draft, facts: ReportedFacts): Decision {
  const { state } = draft
  const opens = draft.events.length > 0
  if (!opens) {
    if (!changes(state, facts)) return ignore(command, body, draft, withoutDocuments(facts), 'duplicate')
    if (state.state !== 'active') return ignore(command, body, draft, facts, 'operation_ended')
  }
  return applied(command, draft, facts, prepared(dataMerged(facts, body.status)))
}

function applied(command: Command, draft: Draft, facts: ReportedFacts, event: PreparedEvent): Decision {
  const large = tooLarge(draft, facts, event.dataBytes, 'merge')
  if (large !== null) return refused(documentTooLarge(large, draft.limits))
  record(draft, event, command, draft.events.length)
  if (draft.state.held.length > 0) releaseHeld(draft)
  return accepted(command, draft)
}

/**
 * On record, for its receipt, its mark and the auditors; spared only where the pipeline says so and nobody could miss it:
 * nothing tells its retry from a new report.
 */
function ignore(
  command: Command,
  body: ReportStatus,
  draft: Draft,
  facts: ReportedFacts,
  reason: IgnoredReason,
  use: 'fill' | 'keep' = 'fill',
): Decision {
  const { state, limits } = draft
  const isMarked = markOf(state.pipeline, facts, draft.recordedAt) !== null
  if (!state.pipeline.definition.recordIgnored && command.keyGenerated === true && !isMarked) {
    return { kind: 'accepted', outcome: 'ignored', reason, opened: false, events: [], state }
  }
  const event = prepared(reportIgnored(facts, body.status, reason))
  const large = tooLarge(draft, facts, event.dataBytes, use)
  return large === null ? recorded(command, draft, event) : refused(documentTooLarge(large, limits))
}

function recorded(command: Command, draft: Draft, event: PreparedEvent): Decision {
  record(draft, event, command, draft.events.length)
  return accepted(command, draft)
}

function accepted(command: Command, draft: Draft): Decision {
  const { events, state } = draft
  const own: OperationEvent[] = []
  for (const { key, event } of events) if (key === command.key) own.push(event)
  const { outcome, reason, opened } = receiptOutcome(own)
  if (reason === undefined) return { kind: 'accepted', outcome, opened, events, state }
  return { kind: 'accepted', outcome, reason, opened, events, state }
}

function refused(refusal: Refusal): Extract<Decision, { kind: 'refused' }> {
  return { kind: 'refused', refusal }
}
