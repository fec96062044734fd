import { z } from 'zod'
import { operationId, pipelineName, positionToken } from './names.ts'
import { integerParameter, pageSize, streamStart } from './paging.ts'
import { recordedEvent } from './recordedEvent.ts'

export function operationEventsQuery(pageSizeMax: number) {
  return z.strictObject({
    fromRevision: integerParameter(z.int().min(0))
      .exactOptional()
      .meta({ description: 'First revision to return. Default: 0, or backwards the last one.' }),
    direction: z
      .enum(['forwards', 'backwards'])
      .exactOptional()
      .meta({ description: 'Oldest first, or newest first. Default `forwards`.' }),
    pageSize: pageSize(pageSizeMax),
  })
}

export function logEventsQuery(pageSizeMax: number) {
  return z.strictObject({
    after: positionToken.exactOptional().meta({ description: 'Exclusive. Default: from the beginning.' }),
    pageSize: pageSize(pageSizeMax).meta({
      description: 'Of a JSON page. As NDJSON: at most so many events; without it, all up to the head.',
    }),
  })
}

export const eventStreamQuery = z.strictObject({
  ...streamStart,
  operation: operationId.exactOptional().meta({ description: 'Only events of this operation.' }),
  pipeline: pipelineName
    .exactOptional()
    .meta({ description: "Only events of this pipeline's operations, and its definitions." }),
})

export const eventPage = z
  .strictObject({
    events: z.array(recordedEvent).meta({ description: 'In the order asked for.' }),
    next: z
      .string()
      .exactOptional()
      .meta({
        description:
          'What to pass on as `after` (or `fromRevision`), also when the list is empty. Absent when revision 0 was reached ' +
          'backwards: nothing is before it.',
      }),
  })
  .meta({ id: 'EventPage', description: 'A page of events.' })
