import { z } from 'zod'
import { namePattern } from '../../operation/names.ts'
import { positionToken, publishedReason, revision, timestamp } from './names.ts'
import { nextPageToken, pageSize, pageToken } from './paging.ts'

const count = z.int().min(0)

const projectionName = z
  .string()
  .regex(namePattern, 'is not the name of a projection')
  .meta({ description: 'The name of a projection.', examples: ['operations'] })

/** As PostgreSQL and a URL can hold it; longer and stranger ones are never set aside. */
const streamName = z
  .string()
  .regex(/^[\x21-\x7e]{1,1000}$/, 'is not the name of a stream')
  .meta({ description: 'As the list of parked streams has it.', examples: ['operation-op-1'] })

export const projectionParams = z.strictObject({ name: projectionName })

export const rebuildParams = z.strictObject({
  name: projectionName,
  id: z.uuid({ error: 'is not the id of a rebuild' }).meta({ description: 'As asking for it answered.' }),
})

export const parkedParams = z.strictObject({ name: projectionName, stream: streamName })

/** Events of a page are looked at one by one, for when they were recorded. */
export const parkedPageMax = 100

export const parkedQuery = (pageSizeMax: number) =>
  z.strictObject({ pageSize: pageSize(Math.min(parkedPageMax, pageSizeMax)), pageToken })

/** Room for parameters to come: a body that is sent must be empty. */
export const noBody = z.strictObject({})

const reason = z
  .string()
  .regex(/^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]{1,500}$/u, 'must be 1 to 500 printable characters')
  .meta({ ...publishedReason, description: 'For whoever reads the log later.' })

export const retryBody = z.strictObject({ reason: reason.exactOptional() })

export const skipBody = z.strictObject({
  revision: z.int().min(0).meta({ description: 'Of the event to pass over: the one the stream is parked at.' }),
  reason,
})

export const rebuild = z
  .strictObject({
    id: z.uuid().meta({ description: 'To ask after it.' }),
    askedAt: timestamp.meta({ description: 'When it was asked for.' }),
    askedBy: z.string().meta({ description: 'The name of the key that asked.' }),
    beganAt: timestamp.nullable().meta({ description: 'Of the last attempt; null before the first.' }),
    node: z.string().nullable().meta({ description: 'Where: `host/process`.' }),
    attempts: count.meta({ description: 'How often it was begun.' }),
    position: positionToken.meta({ description: 'Folded anew up to here.' }),
    head: positionToken.meta({ description: "The log's last position, as far as the rebuild knows." }),
    done: count.meta({ description: 'Positions folded; `total` when it is through.' }),
    total: count.meta({ description: 'Positions to fold in all.' }),
    endedAt: timestamp.nullable().meta({ description: 'Null until it has ended.' }),
    outcome: z.enum(['done', 'failed']).nullable().meta({ description: 'Null until it has ended.' }),
    problem: z.string().nullable().meta({ description: 'Why it failed.' }),
  })
  .meta({ id: 'Rebuild', description: 'A rebuild that was asked for.' })

export const projection = z
  .strictObject({
    name: projectionName,
    state: z.enum(['running', 'rebuilding', 'paused']).meta({ description: 'What it does.' }),
    position: positionToken.meta({ description: 'Up to where the log is folded.' }),
    head: positionToken.meta({ description: "The log's last position." }),
    headReadAt: timestamp.nullable().exactOptional().meta({
      description:
        'Only while the log does not answer: when `head` was last read from it. Null: not by this process, and `head` is `position`.',
    }),
    lagEvents: count.meta({ description: 'Events between them; about, where the log is in EventStoreDB.' }),
    lagMs: z.number().min(0).meta({ description: 'Age of the oldest event not folded, as this node knows it.' }),
    parked: count.meta({ description: 'Streams set aside.' }),
    tampered: count.meta({ description: 'Of those, the ones whose hash chain is broken: docs/events.md.' }),
    epoch: count.meta({ description: 'Raised by each take-over and each pause.' }),
    foldVersion: count.nullable().meta({ description: 'Of what made the rows; null before the first.' }),
    owner: z
      .strictObject({ node: z.string().meta({ description: '`host/process`.' }), since: timestamp })
      .nullable()
      .meta({ description: 'The node that took it over last: `host/process`. Null before the first.' }),
    paused: z
      .strictObject({ since: timestamp, by: z.string().meta({ description: 'The name of the key that paused it.' }) })
      .nullable()
      .meta({ description: 'Null unless an operator has paused it.' }),
    rebuild: rebuild.nullable().meta({ description: 'The last that was asked for.' }),
    phase: z
      .enum([
        'starting',
        'live',
        'paused',
        'rebuilding',
        'waiting',
        'retrying',
        'stopped',
        'newer_schema',
        'log_behind',
      ])
      .meta({ description: 'Of the projector of the node that answers; `waiting`: another node projects.' }),
  })
  .meta({ id: 'Projection', description: 'How a projection stands.' })

export const projectionList = z
  .strictObject({ projections: z.array(projection).meta({ description: 'All there are.' }) })
  .meta({ id: 'ProjectionList', description: 'The projections.' })

export const parkedStream = z
  .strictObject({
    stream: z.string().meta({ description: 'The stream.' }),
    revision: revision.meta({ description: 'The first event that is not folded.' }),
    position: positionToken,
    reason: z.string().meta({ description: 'Why, as a code.', examples: ['malformed_event', 'tampered'] }),
    detail: z.string().meta({ description: 'For a person.' }),
    since: timestamp.nullable().meta({ description: 'When that event was recorded; null where it does not say.' }),
  })
  .meta({ id: 'ParkedStream', description: 'A stream that could not be folded.' })

export const parkedList = z
  .strictObject({ parked: z.array(parkedStream).meta({ description: 'By name of the stream.' }), nextPageToken })
  .meta({ id: 'ParkedList', description: 'A page of parked streams.' })

export const intervention = z
  .strictObject({
    projection: projectionName,
    stream: z.string().meta({ description: 'The stream that it is about.' }),
    command: z.string().meta({ description: 'The idempotency key.' }),
    outcome: z.enum(['unparked', 'parked', 'pending']).meta({
      description: '`parked`: it still is, or is again further on. `pending`: recorded, and not done yet.',
    }),
    parked: parkedStream.nullable().meta({ description: 'Where it stands now; null when it is not parked.' }),
    revision: revision.meta({ description: 'Of what was recorded, in the stream `projection-{name}`.' }),
    position: positionToken.meta({ description: 'What has seen it, has it done.' }),
  })
  .meta({ id: 'Intervention', description: 'What an operator did about a parked stream.' })
