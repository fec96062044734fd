import { z } from 'zod'
import {
  jsonObject,
  label,
  operationId,
  pipelineName,
  pipelineVersion,
  positionToken,
  revision,
  sequence,
  timestamp,
  timestampInput,
  trackName,
} from './names.ts'
import { pageSize, pageToken, streamStart, visibility } from './paging.ts'

export const operationParams = z.strictObject({ id: operationId })

const heldReport = z.strictObject({
  command: z.string(),
  service: z.string(),
  status: z.string(),
  reason: z.enum(['predecessor_missing', 'requirement_unmet']),
  heldAt: timestamp,
  sequence: sequence.exactOptional(),
  observedAt: timestamp.exactOptional(),
  data: jsonObject.exactOptional(),
  metadata: jsonObject.exactOptional(),
})

const track = z.strictObject({
  phase: z.enum(['waiting', 'active', 'final', 'skipped']),
  status: z.string().nullable(),
  since: timestamp.nullable(),
  by: z.string().nullable().meta({ description: 'The service whose report set the status.' }),
  held: z.array(heldReport).meta({ description: 'Reports that wait for their turn, as they came.' }),
})

export const operation = z
  .strictObject({
    id: operationId,
    pipeline: z.strictObject({ name: pipelineName, version: pipelineVersion }),
    theme: z.string().nullable(),
    state: z.enum(['active', 'succeeded', 'failed']),
    tracks: z.record(trackName, track),
    data: jsonObject,
    metadata: jsonObject,
    revision,
    position: positionToken.meta({ description: "Of the operation's last event." }),
    openedAt: timestamp,
    updatedAt: timestamp,
    parked: z
      .strictObject({ revision, reason: z.string() })
      .exactOptional()
      .meta({ description: 'The read model could not fold the operation from this revision on.' }),
  })
  .meta({ id: 'Operation' })

export const operationQuery = z.strictObject({
  ...visibility,
  until: z
    .enum(['changed', 'done'])
    .exactOptional()
    .meta({
      description:
        'Waits (5 s, or as `Prefer: wait=N` says) until the operation has changed since the revision of `If-None-Match`, ' +
        'or else since the call came; or is no longer active. Answers at once if it has or is, and when the time is up.',
    }),
})

export const sortOrders = ['-updatedAt', 'updatedAt', 'id', '-openedAt'] as const

const sortDescription =
  'Default `-updatedAt`. Orders by something that changes move while pages are read: an operation that changes may be ' +
  'missed (`-updatedAt`) or come twice (`updatedAt`). Use `id` for a complete pass: nothing moves in it.'

const metadataFiltersMax = 10

/** What lists and live streams alike can ask for, beside `metadata.KEY`. */
const operationFilters = {
  pipeline: pipelineName.exactOptional(),
  track: trackName.exactOptional(),
  status: label.exactOptional(),
  state: z.enum(['active', 'succeeded', 'failed']).exactOptional(),
  idPrefix: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/, 'must be the beginning of an operation id')
    .exactOptional(),
  theme: label.exactOptional(),
  updatedAfter: timestampInput.exactOptional().meta({ description: 'Exclusive.' }),
  updatedBefore: timestampInput.exactOptional().meta({ description: 'Exclusive.' }),
}

export function operationListQuery(pageSizeMax: number) {
  return withMetadataFilters(
    z.object({
      ...operationFilters,
      sort: z.enum(sortOrders).exactOptional().meta({ description: sortDescription }),
      pageSize: pageSize(pageSizeMax),
      pageToken,
      ...visibility,
    }),
  )
}

export const operationStreamQuery = withMetadataFilters(z.object({ ...operationFilters, after: streamStart }))

/** Any further parameter must be `metadata.KEY`. */
function withMetadataFilters<Shape extends z.ZodRawShape>(parameters: z.ZodObject<Shape>) {
  return parameters.catchall(z.unknown()).superRefine((query, context) => {
    let filters = 0
    for (const [name, value] of Object.entries(query)) {
      if (Object.hasOwn(parameters.shape, name)) continue
      const path = [name]
      if (!name.startsWith(metadataPrefix)) context.addIssue({ code: 'custom', message: 'is not a parameter', path })
      else if (typeof value !== 'string') context.addIssue({ code: 'custom', message: 'is given twice', path })
      else if (!filterable(name) || !filterable(value)) {
        context.addIssue({ code: 'custom', message: 'holds characters that are never stored', path })
      } else filters++
    }
    if (filters > metadataFiltersMax) {
      const message = `More than ${metadataFiltersMax} metadata filters`
      context.addIssue({ code: 'custom', message, path: ['metadata'] })
    }
  })
}

export const metadataPrefix = 'metadata.'

/** NUL and lone surrogates are refused on the way in, so nothing stored can equal them. */
const filterable = (text: string) => !text.includes('\0') && !/\p{Surrogate}/u.test(text) && text.length <= 1_024

export const operationList = z
  .strictObject({
    operations: z.array(operation),
    nextPageToken: z.string().meta({ description: 'Empty on the last page.' }),
  })
  .meta({ id: 'OperationList' })
