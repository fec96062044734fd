import { z } from 'zod'
import { Document } from './document.ts'
import { emptyObject, isJsonObject, type JsonObject } from './json.ts'
import type { PipelineOf } from './pipeline.ts'
import type { OperationState } from './state.ts'

/** Raised with every change to the state's shape: a text of another version is not restored, but folded again. */
export const stateVersion = 1

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
    dataBytesMax: state.dataBytesMax,
    metadataBytesMax: state.metadataBytesMax,
    lastHash: state.lastHash,
    openedAt: state.openedAt,
    updatedAt: state.updatedAt,
    openedBy: state.openedBy,
  }
  return JSON.stringify(serialised)
}

/** Has the compiler ask for a member that a state gets later on. */
type Serialised = Omit<OperationState, 'pipeline' | 'revision' | 'data' | 'metadata'> & {
  readonly stateVersion: number
  readonly pipeline: { readonly name: string; readonly version: number }
  readonly revision: string
  readonly data: JsonObject
  readonly metadata: JsonObject
}

/** Null for a text of another `stateVersion`. Throws for a text that is none of ours; `pipelineOf` may throw as well. */
export function restoreState(text: string, pipelineOf: PipelineOf): OperationState | null {
  const value: unknown = JSON.parse(text)
  if (!isJsonObject(value)) throw new Error('a serialised state is an object')
  if (value.stateVersion !== stateVersion) return null
  const { stateVersion: _, pipeline, revision, data, metadata, ...rest } = serialised.parse(value)
  return {
    ...rest,
    pipeline: pipelineOf(pipeline.name, pipeline.version),
    revision: BigInt(revision),
    data: Document.of(data),
    metadata: Document.of(metadata),
  }
}

const document = z.custom<JsonObject>(isJsonObject, 'not a JSON object')
const sequences = z.custom<Readonly<Record<string, number>>>(isJsonObject, 'not a JSON object')
const text = z.string()

const track = z.strictObject({
  phase: z.enum(['waiting', 'active', 'final', 'skipped']),
  status: z.nullable(text),
  since: z.nullable(text),
  by: z.nullable(text),
  reached: z.array(text),
  sequences,
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
  dataBytesMax: z.int(),
  metadataBytesMax: z.int(),
  lastHash: text,
  openedAt: text,
  updatedAt: text,
  openedBy: text,
})
