import { isObject, type Json, type JsonObject, textOf } from '../json.ts'
import type { Policy } from '../pipeline.ts'
import type { LoggedEvent } from './loggedEvent.ts'
import { keyOf } from './loggedEvent.ts'
import { fill, mergePatch } from './mergePatch.ts'
import { type Condition, passedOnTheWay, reachable, rules, type TrackRules } from './pipelineRules.ts'

export interface FoldedTrack {
  readonly phase: 'waiting' | 'active' | 'final' | 'skipped'
  readonly status: string | null
  readonly since: string | null
  readonly by: string | null
}

export interface FoldedOperation {
  readonly state: 'active' | 'succeeded' | 'failed'
  readonly tracks: Readonly<Record<string, FoldedTrack>>
  readonly data: JsonObject
  readonly metadata: JsonObject
  readonly openedAt: string
  readonly updatedAt: string
  readonly revision: number
  /** Keys of reports that are held and wait. */
  readonly held: readonly string[]
}

interface MutableTrack {
  readonly rules: TrackRules
  phase: FoldedTrack['phase']
  status: string | null
  since: string | null
  by: string | null
  readonly reached: Set<string>
  readonly sequences: Map<string, number>
}

/**
 * Folds an operation's events by the demo's own reading of the rules. `complain` is told of each event that could not
 * have been appended by a service that keeps to them: an undefined move, an unmet join, an older report applied.
 */
export function foldEvents(
  events: readonly LoggedEvent[],
  policy: Policy,
  complain: (event: LoggedEvent, detail: string) => void,
): FoldedOperation {
  const tracks: Record<string, MutableTrack> = {}
  for (const [name, track] of Object.entries(rules)) {
    const fresh = { status: null, since: null, by: null, reached: new Set<string>(), sequences: new Map() }
    tracks[name] = { rules: track, phase: 'waiting', ...fresh }
  }
  const held = new Set<string>()
  let data: JsonObject = {}
  let metadata: JsonObject = {}

  for (const [index, event] of events.entries()) {
    const at = textOf(event.metadata.recordedAt)
    if ((event.type === 'OperationOpened') !== (index === 0)) complain(event, 'opened not exactly at revision 0')
    if (event.type === 'OperationOpened') {
      data = objectOf(event.data.data)
      metadata = objectOf(event.data.metadata)
      startTracks(tracks, at)
      continue
    }
    const track = tracks[textOf(event.data.track)]
    if (track === undefined) {
      complain(event, 'a track the pipeline does not have')
      continue
    }
    const late = event.type === 'ReportIgnored'
    if (event.type === 'ReportHeld') {
      if (held.has(keyOf(event))) complain(event, 'held twice')
      held.add(keyOf(event))
      continue
    }
    held.delete(keyOf(event))
    if (!late) {
      checkSequence(track, event, complain)
      if (event.type === 'StatusChanged') move(tracks, track, event, policy, complain)
      else if (event.data.status !== track.status) complain(event, 'merged into a status the track is not in')
      startTracks(tracks, at)
    }
    if (event.data.reason === 'too_large') continue
    const apply = late ? fill : mergePatch
    data = apply(data, objectOf(event.data.data))
    metadata = apply(metadata, objectOf(event.data.metadata))
  }
  return {
    state: stateOf(tracks),
    tracks: Object.fromEntries(
      Object.entries(tracks).map(([name, { phase, status, since, by }]) => [name, { phase, status, since, by }]),
    ),
    data,
    metadata,
    openedAt: textOf(events[0]?.metadata.recordedAt),
    updatedAt: textOf(events.at(-1)?.metadata.recordedAt),
    revision: events.length - 1,
    held: [...held],
  }
}

function move(
  tracks: Readonly<Record<string, MutableTrack>>,
  track: MutableTrack,
  event: LoggedEvent,
  policy: Policy,
  complain: (event: LoggedEvent, detail: string) => void,
): void {
  const from = track.status
  const to = textOf(event.data.to)
  if (event.data.from !== from)
    complain(event, `says it moves from ${textOf(event.data.from)}, but the track is in ${from}`)
  if (track.phase !== 'active' || from === null) {
    complain(event, `moves a track that is ${track.phase}`)
  } else {
    if (reachable(track.rules, to, from)) complain(event, `goes back from ${from} to ${to}`)
    else if (!reachable(track.rules, from, to)) complain(event, `no way leads from ${from} to ${to}`)
    else if (policy === 'hold' && track.rules.transitions[from]?.includes(to) !== true) {
      complain(event, `jumps from ${from} to ${to}, where reports are to be held`)
    }
    for (const status of passedOnTheWay(track.rules, from, to)) {
      for (const condition of track.rules.requires?.[status] ?? []) {
        if (!isMet(tracks, condition))
          complain(event, `${status} before ${condition.track} is ${condition.in.join(' or ')}`)
      }
      track.reached.add(status)
    }
  }
  track.status = to
  track.since = textOf(event.metadata.recordedAt)
  track.by = textOf(event.data.service)
  track.phase = Object.hasOwn(track.rules.final, to) ? 'final' : 'active'
}

function checkSequence(
  track: MutableTrack,
  event: LoggedEvent,
  complain: (event: LoggedEvent, detail: string) => void,
): void {
  const { sequence } = event.data
  if (typeof sequence !== 'number') return
  const service = textOf(event.data.service)
  const last = track.sequences.get(service)
  // Sequences are compared when a report arrives: one of two equal ones may have waited meanwhile.
  const waited = event.metadata.$causationId !== event.metadata.command
  if (last !== undefined && (sequence < last || (sequence === last && !waited))) {
    complain(event, `sequence ${sequence} of ${service} applied after ${last}`)
  }
  track.sequences.set(service, sequence)
}

/** Starts what can start and skips what no longer can, until nothing changes. */
function startTracks(tracks: Readonly<Record<string, MutableTrack>>, at: string): void {
  for (let changed = true; changed; ) {
    changed = false
    for (const track of Object.values(tracks)) {
      const condition = track.rules.startsWhen
      if (track.phase !== 'waiting') continue
      if (condition === undefined || isMet(tracks, condition)) {
        track.phase = 'active'
        track.status = track.rules.initial
        track.since = at
        track.reached.add(track.rules.initial)
        changed = true
      } else if (!canStillBeMet(tracks, condition)) {
        track.phase = 'skipped'
        changed = true
      }
    }
  }
}

function isMet(tracks: Readonly<Record<string, MutableTrack>>, condition: Condition): boolean {
  return condition.in.some((status) => tracks[condition.track]?.reached.has(status) === true)
}

function canStillBeMet(tracks: Readonly<Record<string, MutableTrack>>, condition: Condition): boolean {
  const track = tracks[condition.track]
  if (track === undefined || track.phase === 'skipped') return false
  const from = track.status
  return from === null || condition.in.some((status) => reachable(track.rules, from, status))
}

function stateOf(tracks: Readonly<Record<string, MutableTrack>>): FoldedOperation['state'] {
  const started = Object.values(tracks).filter((track) => track.phase !== 'skipped')
  if (started.some((track) => track.phase !== 'final')) return 'active'
  return started.some((track) => track.rules.final[track.status ?? ''] === 'failed') ? 'failed' : 'succeeded'
}

function objectOf(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {}
}
