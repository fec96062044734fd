import type { Command, OpenOperation, ReportStatus } from './commands.ts'
import { type DecideContext, type Decision, type Refusal, receiptOutcome } from './decision.ts'
import { type Draft, fits, openedDraft, type PreparedEvent, prepared, record } from './draft.ts'
import type { IgnoredReason, ReportedFacts } from './events.ts'
import { emptyObject, jsonBytes } from './json.ts'
import { judge } from './judge.ts'
import { sequencedServicesMax } from './limits.ts'
import { fillAbsent, mergePatch } from './mergePatch.ts'
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
  tooManySequences,
  unknownStatus,
} from './refusals.ts'
import { changesDocuments, releaseHeld } from './releaseHeld.ts'
import { dataMerged, reportedFacts, reportHeld, reportIgnored, statusChanged } from './reportEvents.ts'
import { type OperationState, trackOf } from './state.ts'

/**
 * What a command does to an operation: events, or a refusal. Pure, total, and the same for the same arguments.
 *
 * The caller has looked for the key's receipt before; checked here are, in this order: existence, the expected revision,
 * the rules. Nothing of a refused command takes effect, also where it would have opened the operation.
 */
export function decide(command: Command, context: DecideContext): Decision {
  const { body } = command
  const { state } = context
  if (body.type === 'OpenOperation') {
    return state === null ? open(command, body, context) : refused(operationExists(state))
  }
  if (state === null) return openAndReport(command, body, context)
  if (command.expectedRevision !== undefined && command.expectedRevision !== state.revision) {
    return refused(atAnotherRevision(state))
  }
  if (body.pipeline !== undefined && body.pipeline !== state.pipeline.name) {
    return refused(inAnotherPipeline(state))
  }
  const recordedAt = context.now > state.updatedAt ? context.now : state.updatedAt
  return report(command, body, { events: [], recordedAt, limits: context.limits, state })
}

function open(command: Command, body: OpenOperation, context: DecideContext): Decision {
  const draft = opening(command, context, body)
  return 'refusal' in draft ? draft : accepted(command, draft)
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
  const tooLarge =
    (event.dataBytes > limits.dataBytesMax && jsonBytes(data) > limits.dataBytesMax) ||
    (event.dataBytes > limits.metadataBytesMax && jsonBytes(metadata) > limits.metadataBytesMax)
  if (tooLarge) return refused(documentTooLarge)
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
  const late = sequenceVerdict(state, facts)
  if (late !== null) return ignore(command, body, draft, facts, late)
  if (remembersTooMany(state, facts)) return refused(tooManySequences)
  const verdict = judge(state, track, body.status)
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
    case 'stay': {
      if (!changesDocuments(state, facts)) return ignore(command, body, draft, facts, 'duplicate')
      const event = prepared(dataMerged(facts, body.status))
      return fits(draft, facts, event.dataBytes, mergePatch)
        ? recorded(command, draft, event)
        : refused(documentTooLarge)
    }
    case 'move': {
      const event = prepared(statusChanged(facts, trackOf(state, track.name).status, body.status, body.final))
      if (!fits(draft, facts, event.dataBytes, mergePatch)) return refused(documentTooLarge)
      record(draft, event, command, draft.events.length)
      if (draft.state.held.length > 0) releaseHeld(draft)
      return accepted(command, draft)
    }
  }
}

/** `duplicate` alone leaves no trace: what it said is on record already. */
function ignore(
  command: Command,
  body: ReportStatus,
  draft: Draft,
  facts: ReportedFacts,
  reason: IgnoredReason,
): Decision {
  const { definition } = draft.state.pipeline
  if (reason === 'duplicate' || !definition.recordIgnored) {
    if (draft.events.length > 0) return accepted(command, draft)
    return { kind: 'accepted', outcome: 'ignored', reason, opened: false, events: [], state: draft.state }
  }
  const event = prepared(reportIgnored(facts, body.status, reason))
  const fills = definition.lateData === 'fill'
  if (fills && !fits(draft, facts, event.dataBytes, fillAbsent)) return refused(documentTooLarge)
  return recorded(command, draft, event)
}

function recorded(command: Command, draft: Draft, event: PreparedEvent): Decision {
  record(draft, event, command, draft.events.length)
  return accepted(command, draft)
}

function accepted(command: Command, draft: Draft): Decision {
  const own = draft.events.filter((decided) => decided.key === command.key).map((decided) => decided.event)
  return { kind: 'accepted', ...receiptOutcome(own), events: draft.events, state: draft.state }
}

function refused(refusal: Refusal): Extract<Decision, { kind: 'refused' }> {
  return { kind: 'refused', refusal }
}

/** A track's memory of sequences is bounded: a service it does not know yet may find it full. */
function remembersTooMany(state: OperationState, facts: ReportedFacts): boolean {
  if (facts.sequence === undefined) return false
  const { sequences } = trackOf(state, facts.track)
  return !Object.hasOwn(sequences, facts.service) && Object.keys(sequences).length >= sequencedServicesMax
}

/** Below that of the service's report on this track last applied with a sequence, or equal to it; else null. */
function sequenceVerdict(state: OperationState, facts: ReportedFacts): 'older_sequence' | 'duplicate' | null {
  if (facts.sequence === undefined) return null
  const { sequences } = trackOf(state, facts.track)
  const last = Object.hasOwn(sequences, facts.service) ? sequences[facts.service] : undefined
  if (last === undefined || facts.sequence > last) return null
  return facts.sequence === last ? 'duplicate' : 'older_sequence'
}
