import { z } from 'zod'
import type { StoredEvent } from './envelope.ts'
import type {
  DataMerged,
  EventMetadata,
  EventSkipped,
  OperationDescribed,
  OperationEvent,
  OperationOpened,
  PipelineDefined,
  ProjectionEvent,
  ReportHeld,
  ReportIgnored,
  StatusChanged,
  StreamRetried,
} from './events.ts'
import { schemaVersion } from './eventVersion.ts'
import { isJsonObject, type JsonObject } from './json.ts'
import type { PipelineDefinition } from './pipeline.ts'

/** Written by a newer node: nothing is wrong with it, but this node must not go past it. */
export class NewerSchemaError extends Error {
  override readonly name = 'NewerSchemaError'
}

/** Not an event any node writes. Its message holds nothing of the documents. */
export class MalformedEventError extends Error {
  override readonly name = 'MalformedEventError'
}

export type PipelineEvent = { readonly type: 'PipelineDefined'; readonly data: PipelineDefined }

/** Every event there is. */
export type CatalogueEvent = OperationEvent | PipelineEvent | ProjectionEvent

export function isOperationEvent<Event extends CatalogueEvent>(
  event: Event,
): event is Exclude<Event, PipelineEvent | ProjectionEvent> {
  return event.type !== 'PipelineDefined' && event.type !== 'EventSkipped' && event.type !== 'StreamRetried'
}

/** Brings the data of one type from the version it is keyed by to the next. */
export type Upcaster = (data: JsonObject) => JsonObject

/** By type, then by the version it upcasts from. Only versions that changed the type have one. */
export type Upcasters = ReadonlyMap<string, ReadonlyMap<number, Upcaster>>

const upcasters: Upcasters = new Map()

export function upcast(type: string, data: JsonObject, from: number, to: number, known: Upcasters): JsonObject {
  const steps = known.get(type)
  let current = data
  for (let version = from; version < to; version += 1) current = steps?.get(version)?.(current) ?? current
  return current
}

/** Documents are passed through as they are: their members are the callers' business, `__proto__` included. */
const document = z.custom<JsonObject>(isJsonObject, 'not a JSON object')
const outcome = z.enum(['succeeded', 'failed'])
const sequence = z.int().min(0)

const facts = {
  track: z.string(),
  service: z.string(),
  sequence: z.exactOptional(sequence),
  observedAt: z.exactOptional(z.string()),
  data: z.exactOptional(document),
  metadata: z.exactOptional(document),
}

const pipelineReference = z.strictObject({ name: z.string(), version: z.int().min(1) })

const ignoredReason = z.enum([
  'older_sequence',
  'duplicate',
  'overtaken',
  'unreachable',
  'operation_ended',
  'too_large',
])

const operationOpened: z.ZodType<OperationOpened> = z.strictObject({
  pipeline: pipelineReference,
  theme: z.nullable(z.string()),
  data: document,
  metadata: document,
})

const operationDescribed: z.ZodType<OperationDescribed> = z.strictObject({
  theme: z.exactOptional(z.string()),
  data: z.exactOptional(document),
  metadata: z.exactOptional(document),
})

const omitted = z.exactOptional(z.array(z.enum(['data', 'metadata'])))

const statusChanged: z.ZodType<StatusChanged> = z.strictObject({
  ...facts,
  omitted,
  from: z.nullable(z.string()),
  to: z.string(),
  final: z.exactOptional(outcome),
})

const dataMerged: z.ZodType<DataMerged> = z.strictObject({ ...facts, omitted, status: z.string() })

const reportHeld: z.ZodType<ReportHeld> = z.strictObject({
  ...facts,
  status: z.string(),
  reason: z.enum(['predecessor_missing', 'requirement_unmet']),
})

const reportIgnored: z.ZodType<ReportIgnored> = z.strictObject({
  ...facts,
  omitted,
  status: z.string(),
  reason: ignoredReason,
})

const statusList = z.array(z.string())
const condition = z.strictObject({
  track: z.string(),
  in: statusList,
  orSkipped: z.exactOptional(z.literal(true)),
})

/** Members are statuses, which callers choose: checked by hand, as a schema library may drop one called `__proto__`. */
function byStatus<T>(value: z.ZodType<T>): z.ZodType<Readonly<Record<string, T>>> {
  return z.custom<Readonly<Record<string, T>>>(
    (record) => isJsonObject(record) && Object.values(record).every((item) => value.safeParse(item).success),
  )
}

const definition: z.ZodType<PipelineDefinition> = z.strictObject({
  outOfOrder: z.enum(['reject', 'advance', 'hold']),
  lateData: z.enum(['fill', 'record']),
  recordIgnored: z.boolean(),
  orderBy: z.exactOptional(z.literal('observedAt')),
  tracks: z.record(
    z.string(),
    z.strictObject({
      initial: z.string(),
      transitions: byStatus(statusList),
      final: byStatus(outcome),
      startsWhen: z.exactOptional(condition),
      requires: z.exactOptional(byStatus(z.array(condition))),
    }),
  ),
})

const pipelineDefined: z.ZodType<PipelineDefined> = z.strictObject({ version: z.int().min(1), definition })

const eventSkipped: z.ZodType<EventSkipped> = z.strictObject({
  stream: z.string(),
  revision: sequence,
  reason: z.string(),
})

const streamRetried: z.ZodType<StreamRetried> = z.strictObject({
  stream: z.string(),
  reason: z.exactOptional(z.string()),
})

const digestForm = /^[0-9a-f]{64}$/
const digest = z.string().regex(digestForm)

const eventMetadata: z.ZodType<EventMetadata> = z.strictObject({
  command: z.string(),
  requestHash: z.string(),
  actor: z.string(),
  $correlationId: z.string(),
  $causationId: z.string(),
  traceparent: z.exactOptional(z.string()),
  schemaVersion: z.int().min(1),
  recordedAt: z.string(),
  previousHash: digest,
  hash: digest,
})

/** The metadata of a stored event. Throws MalformedEventError, or NewerSchemaError as `decode` does. */
export function parseMetadata(stored: StoredEvent): EventMetadata {
  const parsed = parseText(stored, 'metadata')
  const version = parsed.schemaVersion
  // Asked before the rest is checked: a newer node may have members here that this one does not know.
  if (typeof version === 'number' && version > schemaVersion) {
    throw new NewerSchemaError(`${placeOf(stored)} has schema version ${version}, and this node knows ${schemaVersion}`)
  }
  return isEventMetadata(parsed) ? parsed : checked(eventMetadata, parsed, stored)
}

const metadataTexts = ['command', 'requestHash', 'actor', '$correlationId', '$causationId', 'recordedAt'] as const

/** What the schema says, in a tenth of its time: it is asked of each event that is read. */
function isEventMetadata(value: JsonObject | EventMetadata): value is EventMetadata {
  const { traceparent, schemaVersion: version, previousHash, hash } = value
  const others = traceparent === undefined ? metadataTexts.length : metadataTexts.length + 1
  return (
    Object.keys(value).length === others + 3 &&
    metadataTexts.every((name) => typeof value[name] === 'string') &&
    (traceparent === undefined || typeof traceparent === 'string') &&
    Number.isSafeInteger(version) &&
    Number(version) >= 1 &&
    isDigest(previousHash) &&
    isDigest(hash)
  )
}

function isDigest(value: unknown): boolean {
  return typeof value === 'string' && digestForm.test(value)
}

/** The data of a stored event, brought from `version` to the newest. Throws MalformedEventError. */
export function parseEventData(stored: StoredEvent, version: number): CatalogueEvent {
  const { type } = stored
  const data = upcast(type, parseText(stored, 'data'), version, schemaVersion, upcasters)
  switch (type) {
    case 'OperationOpened':
      return { type, data: checked(operationOpened, data, stored) }
    case 'OperationDescribed':
      return { type, data: checked(operationDescribed, data, stored) }
    case 'StatusChanged':
      return { type, data: isStatusChanged(data) ? data : checked(statusChanged, data, stored) }
    case 'DataMerged':
      return { type, data: isDataMerged(data) ? data : checked(dataMerged, data, stored) }
    case 'ReportHeld':
      return { type, data: checked(reportHeld, data, stored) }
    case 'ReportIgnored':
      return { type, data: checked(reportIgnored, data, stored) }
    case 'PipelineDefined':
      return { type, data: checked(pipelineDefined, data, stored) }
    case 'EventSkipped':
      return { type, data: checked(eventSkipped, data, stored) }
    case 'StreamRetried':
      return { type, data: checked(streamRetried, data, stored) }
    default:
      throw new MalformedEventError(`${placeOf(stored)} is of no known type`)
  }
}

// What their schemas say, in a fraction of the time: nearly all events that are read are of these two types.

function isStatusChanged(value: JsonObject | StatusChanged): value is StatusChanged {
  const { from, to, final } = value
  const others = final === undefined ? 2 : 3
  return (
    (from === null || typeof from === 'string') &&
    typeof to === 'string' &&
    (final === undefined || final === 'succeeded' || final === 'failed') &&
    hasFactsAnd(others, value)
  )
}

function isDataMerged(value: JsonObject | DataMerged): value is DataMerged {
  return typeof value.status === 'string' && hasFactsAnd(1, value)
}

/** Whether the facts of a report are there, each of its type, and so many members beside them. */
function hasFactsAnd(others: number, value: JsonObject | StatusChanged | DataMerged): boolean {
  const { track, service, sequence: number, observedAt, data, metadata } = value
  let members = others + 2
  if (typeof track !== 'string' || typeof service !== 'string') return false
  if (number !== undefined) {
    if (!Number.isSafeInteger(number) || Number(number) < 0) return false
    members += 1
  }
  if (observedAt !== undefined) {
    if (typeof observedAt !== 'string') return false
    members += 1
  }
  if (data !== undefined) {
    if (!isJsonObject(data)) return false
    members += 1
  }
  if (metadata !== undefined) {
    if (!isJsonObject(metadata)) return false
    members += 1
  }
  return Object.keys(value).length === members
}

function parseText(stored: StoredEvent, part: 'data' | 'metadata'): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(stored[part])
  } catch {
    throw new MalformedEventError(`${placeOf(stored)}: its ${part} is not JSON`)
  }
  if (!isJsonObject(value)) throw new MalformedEventError(`${placeOf(stored)}: its ${part} is not an object`)
  return value
}

function checked<T>(schema: z.ZodType<T>, value: JsonObject, stored: StoredEvent): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const where = result.error.issues.map((issue) => issue.path.join('/') || '/').join(', ')
  throw new MalformedEventError(`${placeOf(stored)} (${stored.type}) is malformed at ${where}`)
}

function placeOf(stored: StoredEvent): string {
  return `event ${stored.revision} of ${stored.stream}`
}
