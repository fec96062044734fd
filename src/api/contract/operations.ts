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
import { nextPageToken, pageSize, pageToken, streamStart, visibility } from './paging.ts'

export const operationParams = z.strictObject({ id: operationId })

const waitingFor = z
  .array(
    z.strictObject({
      track: trackName,
      in: z.array(z.string()).meta({ description: 'The statuses of which it must have reached one.' }),
      is: z.string().nullable().meta({ description: 'Where that track stands; null when it has not started.' }),
    }),
  )
  .exactOptional()
  .meta({ description: 'The conditions that are not met yet: track `track` must have reached one of `in`.' })

const nextStatus = z.strictObject({
  status: z.string().meta({ description: 'The status.' }),
  ready: z.boolean().meta({ description: 'Whether a report would bring the track there now.' }),
  unreachable: z.literal(true).exactOptional().meta({ description: 'The status can never be entered any more.' }),
  waitingFor,
})

const heldReport = z.strictObject({
  command: z.string().meta({ description: 'Its idempotency key.' }),
  service: z.string().meta({ description: 'Who reported.' }),
  status: z.string().meta({ description: 'The status it reported.' }),
  reason: z
    .enum(['predecessor_missing', 'requirement_unmet'])
    .meta({ description: 'Why it waits now; its receipt says why it had to when it came.' }),
  waitingFor,
  heldAt: timestamp.meta({ description: 'When it was recorded.' }),
  sequence: sequence.exactOptional(),
  observedAt: timestamp.exactOptional().meta({ description: 'When its service saw it happen.' }),
  data: jsonObject.exactOptional().meta({ description: 'The merge patch that it carries for the data.' }),
  metadata: jsonObject.exactOptional().meta({ description: 'The merge patch that it carries for the metadata.' }),
})

const track = z.strictObject({
  phase: z.enum(['waiting', 'active', 'final', 'skipped']).meta({
    description: '`waiting`: it has not started. `final`: it has ended. `skipped`: it can no longer start.',
  }),
  status: z.string().nullable().meta({ description: 'Where the track stands; null while it waits or is skipped.' }),
  since: timestamp.nullable().meta({ description: 'When the status was recorded.' }),
  by: z.string().nullable().meta({ description: 'The service whose report set the status.' }),
  observedAt: timestamp.nullable().meta({ description: 'When that report was observed, if it said so.' }),
  heardAt: timestamp
    .nullable()
    .meta({ description: 'When the last report of the track was recorded, whatever became of it.' }),
  next: z
    .array(nextStatus)
    .meta({ description: 'The statuses one transition ahead. Empty where the track has no status, or has ended.' }),
  held: z.array(heldReport).meta({ description: 'Reports that wait for their turn, as they came.' }),
})

export const operation = z
  .strictObject({
    id: operationId,
    pipeline: z
      .strictObject({ name: pipelineName, version: pipelineVersion })
      .meta({ description: 'The definition that it was opened with.' }),
    theme: z.string().nullable().meta({ description: 'What it is about; null when nobody said.' }),
    state: z.enum(['active', 'succeeded', 'failed']).meta({
      description: '`active` until every started track has ended; then `failed` when any ended so.',
    }),
    blocked: z
      .boolean()
      .meta({ description: 'Active, though no status of any track can be entered any more: no report can end it.' }),
    tracks: z.record(trackName, track).meta({ description: 'By name, where each part of it stands.' }),
    data: jsonObject.meta({ description: 'The document, as far as the services have reported it.' }),
    metadata: jsonObject.meta({ description: 'What the services say about its passage.' }),
    revision,
    position: positionToken.meta({ description: "Of the operation's last event." }),
    openedAt: timestamp.meta({ description: 'When its first event was recorded.' }),
    updatedAt: timestamp.meta({ description: 'When its last event was recorded.' }),
    parked: z
      .strictObject({ revision, reason: z.string().meta({ description: 'Why, as a code.' }) })
      .exactOptional()
      .meta({ description: 'The read model could not fold the operation from this revision on.' }),
  })
  .meta({ id: 'Operation', description: 'An operation as it stands.' })

export const operationQuery = z.strictObject({
  ...visibility,
  until: z
    .enum(['changed', 'done'])
    .exactOptional()
    .meta({
      description:
        'Waits (5 s, or as `Prefer: wait=N` says) until the operation has changed since the revision of `If-None-Match`, ' +
        'or else since the call came; or is no longer active. Answers at once if it has or is, and when the time is up. ' +
        'An operation that is not there yet is 404 at once; with `Prefer: wait=N` it is waited for, too, and is 404 when ' +
        'the time is up.',
    }),
})

export const sortOrders = ['-updatedAt', 'updatedAt', 'id', '-openedAt', 'since'] as const

const sortDescription =
  'Default `-updatedAt`. `since`: the operations whose track has had its status the longest come first (the track is that of ' +
  '`sinceAfter`), those whose track has no status last, in order of opening. Orders by something that changes move while pages ' +
  'are read: an operation that changes may be missed (`-updatedAt`) or come twice (`updatedAt`, `since`). Use `id` for a ' +
  'complete pass: nothing moves in it.'

const metadataFiltersMax = 10
const valuesMax = 50

/** A parameter that may be given again with another value: any of them will do. */
function repeatable<T extends z.ZodType>(value: T, description: string) {
  const asArray = (given: unknown) => (typeof given === 'string' ? [given] : given)
  return z
    .preprocess(asArray, z.array(value).max(valuesMax, `may be given ${valuesMax} times at most`))
    .exactOptional()
    .meta({ description: `${description} May be repeated: any of them.` })
}

function yesOrNo(description: string) {
  const asBoolean = (given: unknown) => (given === 'true' ? true : given === 'false' ? false : given)
  return z.preprocess(asBoolean, z.boolean()).exactOptional().meta({ description })
}

const time = (description: string) => timestampInput.exactOptional().meta({ description })

/** What lists and live streams alike can ask for, beside `metadata.KEY`. */
const operationFilters = {
  pipeline: repeatable(pipelineName, 'The pipeline, in any version.'),
  track: trackName.exactOptional().meta({
    description: 'With `status`: the status of this track. Without: operations that have a track of this name.',
  }),
  status: repeatable(label, 'The status of the track in `track`, or without one of any track.'),
  state: repeatable(z.enum(['active', 'succeeded', 'failed']), 'The state of the operation.'),
  idPrefix: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/, 'must be the beginning of an operation id')
    .exactOptional()
    .meta({ description: 'How the id begins.' }),
  theme: label.exactOptional().meta({ description: 'The theme, as a whole.' }),
  updatedAfter: time('The last event was recorded after this time (RFC 3339), whatever kind of event.'),
  updatedBefore: time('The last event was recorded before this time (RFC 3339).'),
  held: yesOrNo('Whether reports are held.'),
  blocked: yesOrNo('Whether the operation is blocked: active, though no status of any track can be entered any more.'),
  anyTrack: z
    .enum(['failed'])
    .exactOptional()
    .meta({ description: '`failed`: at least one track has ended so, whatever the state of the operation.' }),
}

/** What an operation comes to match by waiting: no live stream could tell of that. */
const waitingFilters = {
  sinceAfter: time(
    'The track got the status in which it stands after this time (RFC 3339). It is the track in `track`, or without one the ' +
      "pipeline's default track: its only one, or else `main`. An operation whose track has no status does not match.",
  ),
  sinceBefore: time('The track got the status in which it stands before this time; the track is that of `sinceAfter`.'),
  heardBefore: time(
    'No report was recorded at this time (RFC 3339) or later, on any track and whatever became of it. An operation without ' +
      'a report matches.',
  ),
}

export function operationListQuery(pageSizeMax: number) {
  return withMetadataFilters(
    z.object({
      ...operationFilters,
      ...waitingFilters,
      sort: z.enum(sortOrders).exactOptional().meta({ description: sortDescription }),
      pageSize: pageSize(pageSizeMax),
      pageToken,
      ...visibility,
    }),
  )
}

export const operationStreamQuery = withMetadataFilters(z.object({ ...operationFilters, ...streamStart }))

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
    operations: z.array(operation).meta({ description: 'In the order asked for.' }),
    nextPageToken,
  })
  .meta({ id: 'OperationList', description: 'A page of operations.' })
