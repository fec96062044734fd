import { z } from 'zod'
import { Document } from './document.ts'
import { emptyObject, isJsonObject, type JsonObject } from './json.ts'
import type { PipelineOf } from './pipeline.ts'
import type { OperationState } from './state.ts'

/** Raised with every change to the state's shape: a text of another version is not restored, but folded again. */
export const stateVersion = 2

/** JSON text from which `restoreState` makes the same state again. */
export function serialiseState(state: OperationState): string {
  return serialiseWith(state, state.data.value, state.metadata.value)
}

/** The same without the documents, for who keeps them apart: they are empty in the text. */
export function serialiseWithoutDocuments(state: OperationState): string {
  return serialiseWith(state, emptyObject, emptyObject)
}

/** Every member by its name: spreads took longer than the printing. */
function serialiseWith(state: OperationState, data: JsonObject, metadata: JsonObject): string {
  const { pipeline } = state
  const serialised: Serialised = {
    stateVersion,
    pipeline: { name: pipeline.name, version: pipeline.version },
    revision: state.revision.toString(),
    id: state.id,
    theme: state.theme,
    state: state.state,
    tracks: state.tracks,
    held: state.held,
    data,
    metadata,
    deleted: state.deleted,
    dataBytesMax: state.dataBytesMax,
    metadataBytesMax: state.metadataBytesMax,
    lastHash: state.lastHash,
    openedAt: state.openedAt,
    updatedAt: state.updatedAt,
    changedRevision: Number(state.changedRevision),
    openedBy: state.openedBy,
    undescribed: state.undescribed,
  }
  return JSON.stringify(serialised)
}

/** Has the compiler ask for a member that a state gets later on. */
type Serialised = Omit<OperationState, 'pipeline' | 'revision' | 'changedRevision' | 'data' | 'metadata'> & {
  readonly stateVersion: number
  readonly pipeline: { readonly name: string; readonly version: number }
  readonly revision: string
  /** A stream never comes near 2^53 events. */
  readonly changedRevision: number
  readonly data: JsonObject
  readonly metadata: JsonObject
}

/** Null for a text of another `stateVersion`. Throws for a text that is none of ours; `pipelineOf` may throw as well. */
export function restoreState(text: string, pipelineOf: PipelineOf): OperationState | null {
  const value = parsed(text)
  return value.stateVersion === stateVersion ? restored(value, pipelineOf) : null
}

/**
 * The same for whoever only shows the state: one of the version before is shown as far as it goes, while its operation waits to
 * be projected anew. Nothing may be decided on it.
 */
export function restoreForReading(text: string, pipelineOf: PipelineOf): OperationState | null {
  const value = parsed(text)
  if (value.stateVersion === stateVersion) return restored(value, pipelineOf)
  return value.stateVersion === 1 ? restored(fromVersion1(value), pipelineOf) : null
}

function parsed(text: string): JsonObject {
  const value: unknown = JSON.parse(text)
  if (!isJsonObject(value)) throw new Error('a serialised state is an object')
  return value
}

function restored(value: JsonObject, pipelineOf: PipelineOf): OperationState {
  const { stateVersion: _, pipeline, revision, changedRevision, data, metadata, ...rest } = serialised.parse(value)
  return {
    ...rest,
    pipeline: pipelineOf(pipeline.name, pipeline.version),
    revision: BigInt(revision),
    changedRevision: BigInt(changedRevision),
    data: Document.of(data),
    metadata: Document.of(metadata),
  }
}

function fromVersion1(value: JsonObject): JsonObject {
  const tracks = isJsonObject(value.tracks) ? value.tracks : {}
  return {
    ...value,
    stateVersion,
    tracks: Object.fromEntries(
      Object.entries(tracks).map(([name, track]) => {
        const { sequences, ...rest } = isJsonObject(track) ? track : {}
        const added = { observedAt: null, heardAt: null, observedMarks: {}, observedMs: null }
        return [name, { ...rest, ...added, marks: sequences ?? {} }]
      }),
    ),
    deleted: { data: {}, metadata: {} },
    changedRevision: Number(value.revision),
    undescribed: false,
  }
}

const document = z.custom<JsonObject>(isJsonObject, 'not a JSON object')
const marks = z.custom<Readonly<Record<string, number>>>(isJsonObject, 'not a JSON object')
const text = z.string()

const track = z.strictObject({
  phase: z.enum(['waiting', 'active', 'final', 'skipped']),
  status: z.nullable(text),
  since: z.nullable(text),
  by: z.nullable(text),
  observedAt: z.nullable(text),
  heardAt: z.nullable(text),
  reached: z.array(text),
  marks,
  observedMarks: marks,
  observedMs: z.nullable(z.number()),
  outcome: z.nullable(z.enum(['succeeded', 'failed'])),
})

const held = z.strictObject({
  key: text,
  requestHash: text,
  actor: text,
  traceparent: z.exactOptional(text),
  keyEvents: z.int(),
  bytes: z.int(),
  status: text,
  reason: z.enum(['predecessor_missing', 'requirement_unmet']),
  heldAt: text,
  facts: z.strictObject({
    track: text,
    service: text,
    sequence: z.exactOptional(z.int()),
    observedAt: z.exactOptional(text),
    data: z.exactOptional(document),
    metadata: z.exactOptional(document),
  }),
})

const serialised = z.strictObject({
  stateVersion: z.literal(stateVersion),
  pipeline: z.strictObject({ name: text, version: z.int() }),
  revision: z.string().regex(/^\d+$/),
  id: text,
  theme: z.nullable(text),
  state: z.enum(['active', 'succeeded', 'failed']),
  tracks: z.record(text, track),
  held: z.array(held),
  data: document,
  metadata: document,
  deleted: z.nullable(z.strictObject({ data: document, metadata: document })),
  dataBytesMax: z.int(),
  metadataBytesMax: z.int(),
  lastHash: text,
  openedAt: text,
  updatedAt: text,
  changedRevision: z.int(),
  openedBy: text,
  undescribed: z.boolean(),
})
