import { type Draft, fitting, record } from './draft.ts'
import type { IgnoredReason } from './events.ts'
import { judge } from './judge.ts'
import { lateness, markOf, observedMs } from './lateness.ts'
import { changes } from './operationDocuments.ts'
import { dataMerged, reportIgnored, statusChanged, withoutDocuments } from './reportEvents.ts'
import { type HeldReport, trackOf } from './state.ts'

/**
 * After an applied report: looks at the held reports of all tracks in order, and after each that is applied or dropped again
 * from the first, until none is. Each is recorded under its own key and with what it came with. Ends, because every step
 * takes one from the held.
 */
export function releaseHeld(draft: Draft): void {
  for (let order = releaseOrder(draft), place = 0; place < order.length; ) {
    const held = order[place]
    if (held !== undefined && settles(draft, held)) {
      order = order.filter((report) => report !== held)
      place = 0
    } else place += 1
  }
  while (draft.state.state !== 'active' && draft.state.held[0] !== undefined) {
    drop(draft, draft.state.held[0], 'operation_ended')
  }
}

/**
 * In order of arrival, except that those of one service and track that have a sequence stand in the order of these, in the
 * places that they hold together. Where the pipeline orders by observed times, so do those of one track that have one and no
 * sequence, whichever service sent them.
 */
function releaseOrder({ state, recordedAt }: Draft): readonly HeldReport[] {
  const { held, pipeline } = state
  if (held.length < 2) return held
  const groups = new Map<
    string,
    { readonly places: number[]; readonly reports: { report: HeldReport; at: number }[] }
  >()
  for (const [place, report] of held.entries()) {
    const mark = markOf(pipeline, report.facts, recordedAt)
    if (mark === null) continue
    const { track, service } = report.facts
    const name = mark.by === 'sequence' ? JSON.stringify([track, service]) : track
    const group = groups.get(name) ?? { places: [], reports: [] }
    groups.set(name, group)
    group.places.push(place)
    group.reports.push({ report, at: mark.value })
  }
  const order = [...held]
  for (const { places, reports } of groups.values()) {
    // A stable sort: what is equal keeps its order of arrival.
    reports.sort((one, other) => one.at - other.at)
    for (const [index, place] of places.entries()) {
      const { report } = reports[index] ?? {}
      if (report !== undefined) order[place] = report
    }
  }
  return order
}

/** False when it goes on waiting. */
function settles(draft: Draft, held: HeldReport): boolean {
  const { state, recordedAt } = draft
  const { facts, status } = held
  const track = state.pipeline.tracks.get(facts.track)
  if (track === undefined) throw new Error(`a report is held for the unknown track ${facts.track}`)
  const standing = trackOf(state, facts.track)
  const late = lateness(standing, facts.service, markOf(state.pipeline, facts, recordedAt))
  if (late !== null) return drop(draft, held, late)
  const verdict = judge(state, track, status, observedMs(state.pipeline, facts, recordedAt))
  switch (verdict.kind) {
    case 'wait':
      return false
    case 'behind':
      return drop(draft, held, 'overtaken')
    case 'refuse':
      return drop(draft, held, 'unreachable')
    case 'stay':
      // It says nothing new, and says so without documents, as on arrival.
      if (!changes(state, facts)) return drop(draft, { ...held, facts: withoutDocuments(facts) }, 'duplicate')
      if (state.state !== 'active') return drop(draft, held, 'operation_ended')
      return take(draft, held, (fitted, omitted) => dataMerged(fitted, status, omitted))
    case 'move':
      return take(draft, held, (fitted, omitted) => statusChanged(fitted, standing.status, status, undefined, omitted))
  }
}

function take(draft: Draft, held: HeldReport, eventOf: Parameters<typeof fitting>[3]): true {
  record(draft, fitting(draft, held.facts, 'merge', eventOf), held, held.keyEvents)
  return true
}

/** Always recorded, also where ignored reports are not: the event is what takes the report from the held. */
function drop(draft: Draft, held: HeldReport, reason: IgnoredReason): true {
  const event = fitting(draft, held.facts, reason === 'unreachable' ? 'keep' : 'fill', (fitted, omitted) =>
    reportIgnored(fitted, held.status, reason, omitted),
  )
  record(draft, event, held, held.keyEvents)
  return true
}
