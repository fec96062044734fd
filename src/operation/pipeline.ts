import { type EnterableTables, enterableTables } from './enterable.ts'
import type { FinalOutcome } from './events.ts'
import { type StatusGraph, statusGraph } from './graph.ts'

export type OutOfOrder = 'reject' | 'advance' | 'hold'
export type OrderBy = 'sequence' | 'observedAt'

// Type aliases, not interfaces: a definition is a JsonObject too, and is stored as one.
export type TrackCondition = {
  readonly track: string
  /** Holds once one of them was reached. */
  readonly in: readonly string[]
  /** Only in a join, and only ever true: holds as well once the track is skipped. */
  readonly orSkipped?: true
}

export type TrackDefinition = {
  /** Null only in pipeline `any`. */
  readonly initial: string | null
  /** Has no member for final statuses. */
  readonly transitions: Readonly<Record<string, readonly string[]>>
  readonly final: Readonly<Record<string, FinalOutcome>>
  readonly startsWhen?: TrackCondition
  /** By target status: all conditions must hold before a track may enter it. */
  readonly requires?: Readonly<Record<string, readonly TrackCondition[]>>
}

/** The normalised long form: what `PipelineDefined` records. */
export type PipelineDefinition = {
  readonly outOfOrder: OutOfOrder
  readonly lateData: 'fill' | 'record'
  readonly recordIgnored: boolean
  /** What tells which of two reports is the newer one. Absent: by `sequence`. */
  readonly orderBy?: 'observedAt'
  readonly tracks: Readonly<Record<string, TrackDefinition>>
}

export interface CompiledTrack {
  readonly name: string
  readonly initial: string | null
  readonly graph: StatusGraph
  readonly final: ReadonlyMap<string, FinalOutcome>
  readonly startsWhen: TrackCondition | null
  readonly requires: ReadonlyMap<string, readonly TrackCondition[]>
}

/** One version of a definition with everything the decider asks of it worked out once. */
export interface CompiledPipeline {
  readonly name: string
  readonly version: number
  readonly definition: PipelineDefinition
  /** True for the built-in `any`: every report applies. */
  readonly any: boolean
  readonly tracks: ReadonlyMap<string, CompiledTrack>
  /** The track of a report that names none: the only one, else `main`; null when there are several and none is `main`. */
  readonly defaultTrack: string | null
  /** The tracks that start later, in the definition's order. */
  readonly laterTracks: readonly CompiledTrack[]
  /** Whether reports without a sequence are ordered by their observed times. */
  readonly ordersByTime: boolean
  readonly enterableTables: EnterableTables | null
}

/** How a pipeline is found while folding: throws, or never returns, when there is none of that name and version. */
export type PipelineOf = (name: string, version: number) => CompiledPipeline

/** Works out what the decider asks of a definition. Takes a normalised definition; a recorded one is not checked again. */
export function compilePipeline(name: string, version: number, definition: PipelineDefinition): CompiledPipeline {
  const tracks = Object.entries(definition.tracks).map(([trackName, track]) => compileTrack(trackName, track))
  const names = tracks.map((track) => track.name)
  return {
    name,
    version,
    definition,
    any: false,
    tracks: new Map(tracks.map((track) => [track.name, track])),
    defaultTrack: names.length === 1 ? (names[0] ?? null) : names.includes('main') ? 'main' : null,
    laterTracks: tracks.filter((track) => track.startsWhen !== null),
    ordersByTime: definition.orderBy === 'observedAt',
    enterableTables: enterableTables(tracks),
  }
}

function compileTrack(name: string, track: TrackDefinition): CompiledTrack {
  const transitions = new Map(Object.entries(track.transitions))
  const statuses = new Set<string>()
  if (track.initial !== null) statuses.add(track.initial)
  for (const [from, targets] of transitions) {
    statuses.add(from)
    for (const target of targets) statuses.add(target)
  }
  for (const status of Object.keys(track.final)) statuses.add(status)
  return {
    name,
    initial: track.initial,
    graph: statusGraph([...statuses], transitions),
    final: new Map(Object.entries(track.final)),
    startsWhen: track.startsWhen ?? null,
    requires: new Map(Object.entries(track.requires ?? {})),
  }
}

/**
 * Built in, cannot be defined: one track `main` without a status at first; every report applies, repeats too, and a
 * report may end the operation by saying `final`.
 */
export const anyPipeline: CompiledPipeline = {
  ...compilePipeline('any', 1, {
    outOfOrder: 'advance',
    lateData: 'fill',
    recordIgnored: true,
    tracks: { main: { initial: null, transitions: {}, final: {} } },
  }),
  any: true,
}
