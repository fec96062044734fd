import { isObject, type Json, type JsonObject, textOf } from '../json.ts'
import type { Policy } from '../pipeline.ts'
import { type Documents, fill, merge, type Patches } from './documents.ts'
import {
  expectedVerdict,
  type HeldSaid,
  nextOf,
  nextReleased,
  releaseOrder,
  type Situation,
  type Verdict,
} from './expectedVerdict.ts'
import { causeOf, keyOf, type LoggedEvent } from './loggedEvent.ts'
import { isMet, passedOnTheWay, rules, stillEnterable, type TrackRules } from './pipelineRules.ts'

export interface FoldedTrack {
  readonly phase: 'waiting' | 'active' | 'final' | 'skipped'
  readonly status: string | null
  readonly since: string | null
  readonly by: string | null
  readonly observedAt: string | null
  readonly heardAt: string | null
  readonly next: readonly JsonObject[]
}

export interface FoldedOperation {
  readonly theme: string | null
  readonly state: 'active' | 'succeeded' | 'failed'
  readonly blocked: boolean
  readonly tracks: Readonly<Record<string, FoldedTrack>>
  readonly data: JsonObject
  readonly metadata: JsonObject
  readonly openedAt: string
  readonly updatedAt: string
  readonly revision: number
  /** Keys of reports that are held and wait. */
  readonly held: readonly string[]
  /** Revisions of the events that are to carry no documents: duplicates of a status say nothing new. */
  readonly wordless: ReadonlySet<number>
  /** Whether a report opened it and no open has described it. */
  readonly undescribed: boolean
}

interface MutableTrack {
  readonly rules: TrackRules
  phase: FoldedTrack['phase']
  status: string | null
  since: string | null
  by: string | null
  observedAt: string | null
  heardAt: string | null
  readonly reached: Set<string>
  readonly marks: Map<string, number>
}

interface Fold {
  readonly policy: Policy
  readonly tracks: Record<string, MutableTrack>
  readonly held: HeldSaid[]
  theme: string | null
  documents: Documents
  /** Of the held reports, in the append that is being folded. */
  order: readonly HeldSaid[]
  /** What the append must go on with. */
  awaited: { readonly key: string; readonly cause: string; readonly verdict: Verdict } | null
  openedBy: string
  /** As in `FoldedOperation`. */
  undescribed: boolean
  readonly wordless: Set<number>
}

export interface FoldOptions {
  readonly policy: Policy
  /** Told of each event that a service that keeps to the rules could not have appended. */
  readonly complain: (event: LoggedEvent, detail: string) => void
  /** The documents that were sent under a key; undefined: nobody sent it. */
  readonly sent: (key: string) => Patches | undefined
}

/** Folds an operation's events by the demo's own reading of the rules, and holds each of them against these. */
export function foldEvents(events: readonly LoggedEvent[], options: FoldOptions): FoldedOperation {
  const fold = emptyFold(options.policy)
  for (const [index, event] of events.entries()) {
    if ((event.type === 'OperationOpened') !== (index === 0))
      options.complain(event, 'opened not exactly at revision 0')
    foldEvent(fold, event, options)
  }
  const last = events.at(-1)
  if (fold.awaited !== null && last !== undefined) options.complain(last, `${fold.awaited.key} was not released`)
  const state = stateOf(fold.tracks)
  const { data, metadata } = fold.documents
  const canEnter = stillEnterable(fold.tracks)
  const isStuck = Object.entries(fold.tracks).every(([name, { rules: track }]) =>
    [track.initial, ...Object.values(track.transitions).flat()].every((status) => !canEnter(name, status)),
  )
  return {
    theme: fold.theme,
    state,
    blocked: state === 'active' && isStuck,
    tracks: Object.fromEntries(
      Object.entries(fold.tracks).map(([name, { phase, status, since, by, observedAt, heardAt }]) => [
        name,
        { phase, status, since, by, observedAt, heardAt, next: nextOf(fold.tracks, name) },
      ]),
    ),
    data,
    metadata,
    openedAt: textOf(events[0]?.metadata.recordedAt),
    updatedAt: textOf(events.at(-1)?.metadata.recordedAt),
    revision: events.length - 1,
    held: fold.held.map(({ key }) => key),
    wordless: fold.wordless,
    undescribed: fold.undescribed,
  }
}

function emptyFold(policy: Policy): Fold {
  const tracks: Record<string, MutableTrack> = {}
  for (const [name, track] of Object.entries(rules)) {
    const nothing = { status: null, since: null, by: null, observedAt: null, heardAt: null }
    tracks[name] = { rules: track, phase: 'waiting', ...nothing, reached: new Set(), marks: new Map() }
  }
  return {
    policy,
    tracks,
    held: [],
    theme: null,
    documents: { data: {}, metadata: {}, deleted: new Set() },
    order: [],
    awaited: null,
    openedBy: '',
    undescribed: false,
    wordless: new Set(),
  }
}

function foldEvent(fold: Fold, event: LoggedEvent, options: FoldOptions): void {
  const at = textOf(event.metadata.recordedAt)
  const patches = patchesOf(event.data)
  if (event.type === 'OperationOpened') {
    fold.openedBy = keyOf(event)
    fold.theme = typeof event.data.theme === 'string' ? event.data.theme : null
    fold.documents = { ...fold.documents, data: patches.data ?? {}, metadata: patches.metadata ?? {} }
    startTracks(fold.tracks, at)
    return
  }
  if (event.revision === 1 && keyOf(event) === fold.openedBy) fold.undescribed = true
  if (event.type === 'OperationDescribed') {
    checkAwaited(fold, event, options)
    if (!fold.undescribed) options.complain(event, 'describes an operation that was described before')
    fold.undescribed = false
    if (typeof event.data.theme === 'string') fold.theme = event.data.theme
    fold.documents = fill(fold.documents, patches)
    return
  }
  foldReport(fold, event, patches, options)
}

function foldReport(fold: Fold, event: LoggedEvent, patches: Patches, options: FoldOptions): void {
  const track = fold.tracks[textOf(event.data.track)]
  if (track === undefined) {
    options.complain(event, 'a track the pipeline does not have')
    return
  }
  const said = saidBy(event, options.sent(keyOf(event)) ?? patches)
  const place = fold.held.findIndex(({ key }) => key === said.key)
  const isOwn = place === -1
  const awaited = checkAwaited(fold, event, options)
  const opens = event.revision === 1 && said.key === fold.openedBy && said.status === track.status
  const verdict: Verdict = opens
    ? { type: 'DataMerged' }
    : (awaited ?? expectedVerdict(situationOf(fold), said, !isOwn))
  checkVerdict(event, verdict, options)
  if (!isOwn) fold.held.splice(place, 1)
  if (verdict.type === 'ReportIgnored' && verdict.wordless === true) fold.wordless.add(event.revision)

  track.heardAt = textOf(event.metadata.recordedAt)
  if (event.type === 'ReportHeld') {
    fold.held.push(said)
    return
  }
  const isIdle = verdict.type === 'ReportIgnored' && verdict.idle === true
  if (!isIdle && said.sequence !== null) {
    track.marks.set(said.service, Math.max(said.sequence, track.marks.get(said.service) ?? said.sequence))
  }
  if (event.type === 'ReportIgnored') {
    if (!isIdle) fold.documents = fill(fold.documents, patches)
  } else {
    if (event.type === 'StatusChanged') move(track, event, options)
    else if (opens) setBy(track, event)
    startTracks(fold.tracks, textOf(event.metadata.recordedAt))
    fold.documents = merge(fold.documents, patches)
  }
  // A report that was ignored on its own releases nothing; one that was released goes on with what is left.
  if (isOwn && event.type === 'ReportIgnored') return
  const order = isOwn ? releaseOrder(fold.held) : fold.order.filter(({ key }) => key !== said.key)
  const next = nextReleased(situationOf(fold), order)
  fold.order = order
  fold.awaited = next === null ? null : { ...next, cause: causeOf(event) }
}

function situationOf({ policy, tracks, held, documents }: Fold): Situation {
  return { policy, tracks, held, documents, ended: stateOf(tracks) !== 'active' }
}

function saidBy(event: LoggedEvent, documents: Patches): HeldSaid {
  const { sequence } = event.data
  return {
    key: keyOf(event),
    track: textOf(event.data.track),
    service: textOf(event.data.service),
    status: textOf(event.type === 'StatusChanged' ? event.data.to : event.data.status),
    sequence: typeof sequence === 'number' ? sequence : null,
    documents,
  }
}

/** The verdict that was awaited of this very event; undefined when none was. */
function checkAwaited(fold: Fold, event: LoggedEvent, { complain }: FoldOptions): Verdict | undefined {
  const { awaited, held } = fold
  fold.awaited = null
  const isAwaited = awaited !== null && awaited.key === keyOf(event) && awaited.cause === causeOf(event)
  if (isAwaited) return awaited.verdict
  if (awaited !== null) complain(event, `${awaited.key} should have been released by ${awaited.cause} before this`)
  if (held.some(({ key }) => key === keyOf(event))) complain(event, 'released before its turn')
  else if (causeOf(event) !== keyOf(event)) complain(event, 'released, but was not held')
  return undefined
}

function checkVerdict(event: LoggedEvent, verdict: Verdict, { complain }: FoldOptions): void {
  if (verdict.type === 'refused') complain(event, `should have been refused: ${verdict.code}`)
  else if (verdict.type !== event.type) complain(event, `is ${event.type}, and should be ${describe(verdict)}`)
  else if ('reason' in verdict && verdict.reason !== event.data.reason) {
    complain(event, `its reason is ${textOf(event.data.reason)}, and should be ${verdict.reason}`)
  }
}

function describe(verdict: Verdict): string {
  return 'reason' in verdict ? `${verdict.type} ${verdict.reason}` : verdict.type
}

function move(track: MutableTrack, event: LoggedEvent, { complain }: FoldOptions): void {
  const from = track.status
  const to = textOf(event.data.to)
  if (event.data.from !== from) {
    complain(event, `says it moves from ${textOf(event.data.from)}, but the track is in ${from}`)
  }
  for (const status of from === null ? [to] : passedOnTheWay(track.rules, from, to)) track.reached.add(status)
  track.status = to
  track.since = textOf(event.metadata.recordedAt)
  setBy(track, event)
  track.phase = Object.hasOwn(track.rules.final, to) ? 'final' : 'active'
}

function setBy(track: MutableTrack, { data }: LoggedEvent): void {
  track.by = textOf(data.service)
  track.observedAt = typeof data.observedAt === 'string' ? data.observedAt : null
}

/** Starts what can start, until nothing changes; then skips what no longer can. */
function startTracks(tracks: Readonly<Record<string, MutableTrack>>, at: string): void {
  for (let changed = true; changed; ) {
    changed = false
    for (const track of Object.values(tracks)) {
      const condition = track.rules.startsWhen
      if (track.phase !== 'waiting' || (condition !== undefined && !isMet(tracks, condition))) continue
      track.phase = 'active'
      track.status = track.rules.initial
      track.since = at
      track.reached.add(track.rules.initial)
      changed = true
    }
  }
  const canEnter = stillEnterable(tracks)
  for (const [name, track] of Object.entries(tracks)) {
    if (track.phase === 'waiting' && !canEnter(name, track.rules.initial)) track.phase = 'skipped'
  }
}

function stateOf(tracks: Readonly<Record<string, MutableTrack>>): FoldedOperation['state'] {
  const started = Object.values(tracks).filter((track) => track.phase !== 'skipped')
  if (started.some((track) => track.phase !== 'final')) return 'active'
  return started.some((track) => track.rules.final[track.status ?? ''] === 'failed') ? 'failed' : 'succeeded'
}

function patchesOf({ data, metadata }: Readonly<Record<string, Json>>): Patches {
  return { ...(isObject(data) ? { data } : null), ...(isObject(metadata) ? { metadata } : null) }
}
