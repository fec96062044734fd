import type { Document } from './document.ts'
import { type Draft, fits, prepared, record } from './draft.ts'
import type { IgnoredReason } from './events.ts'
import type { JsonObject } from './json.ts'
import { judge } from './judge.ts'
import { fillAbsent, mergePatch } from './mergePatch.ts'
import { dataMerged, reportIgnored, statusChanged } from './reportEvents.ts'
import { type HeldReport, type OperationState, trackOf } from './state.ts'

/**
 * After an applied report: looks at the held reports of all tracks in order of arrival, and after each that moves again
 * from the earliest, until none moves. Each is recorded under its own key and with what it came with. Ends, because
 * every move takes one from the held.
 */
export function releaseHeld(draft: Draft): void {
  for (let place = 0; place < draft.state.held.length; ) {
    const held = draft.state.held[place]
    place = held !== undefined && moves(draft, held) ? 0 : place + 1
  }
  // Unreached while operations only end by all their tracks ending, which makes every held report unreachable above.
  while (draft.state.state !== 'active' && draft.state.held[0] !== undefined) {
    drop(draft, draft.state.held[0], 'operation_ended')
  }
}

function moves(draft: Draft, held: HeldReport): boolean {
  const track = draft.state.pipeline.tracks.get(held.facts.track)
  if (track === undefined) throw new Error(`a report is held for the unknown track ${held.facts.track}`)
  const verdict = judge(draft.state, track, held.status)
  switch (verdict.kind) {
    case 'wait':
      return false
    case 'behind':
      drop(draft, held, 'overtaken')
      return true
    case 'refuse':
      drop(draft, held, 'unreachable')
      return true
    case 'stay':
    case 'move':
      release(draft, held, verdict.kind)
      return true
  }
}

function release(draft: Draft, held: HeldReport, verdict: 'stay' | 'move'): void {
  const { facts, status } = held
  if (verdict === 'stay' && !changesDocuments(draft.state, facts)) {
    drop(draft, held, 'duplicate')
    return
  }
  const event = prepared(
    verdict === 'stay'
      ? dataMerged(facts, status)
      : statusChanged(facts, trackOf(draft.state, facts.track).status, status, undefined),
  )
  if (fits(draft, facts, event.dataBytes, mergePatch)) record(draft, event, held, held.keyEvents)
  else drop(draft, held, 'too_large')
}

/**
 * Always recorded, also where ignored reports are not: the event is what takes the report from the held. Where its data
 * would fill in beyond a limit, it is dropped for that reason instead, which the fold does not fill.
 */
function drop(draft: Draft, held: HeldReport, reason: IgnoredReason): void {
  const event = prepared(reportIgnored(held.facts, held.status, reason))
  const fills = draft.state.pipeline.definition.lateData === 'fill'
  if (reason !== 'too_large' && fills && !fits(draft, held.facts, event.dataBytes, fillAbsent)) {
    drop(draft, held, 'too_large')
    return
  }
  record(draft, event, held, held.keyEvents)
}

export function changesDocuments(
  state: OperationState,
  facts: Pick<HeldReport['facts'], 'data' | 'metadata'>,
): boolean {
  return (
    (facts.data !== undefined && changes(state.data, facts.data)) ||
    (facts.metadata !== undefined && changes(state.metadata, facts.metadata))
  )
}

function changes(document: Document, patch: JsonObject): boolean {
  return document.patched(patch, mergePatch, undefined) !== document
}
