import { z } from 'zod'
import {
  jsonObject,
  pipelineName,
  pipelineVersion,
  positionToken,
  revision,
  statusName,
  timestamp,
  trackName,
} from './names.ts'
import { integerParameter, nextPageToken, pageSize, pageToken, visibility } from './paging.ts'

export const pipelineParams = z.strictObject({ name: pipelineName })

export const pipelineVersionParams = z.strictObject({ name: pipelineName, version: integerParameter(pipelineVersion) })

const condition = z.strictObject({
  track: trackName,
  in: z.array(statusName).meta({ description: 'Holds once the track has reached one of these statuses.' }),
})

const joinCondition = z.strictObject({
  ...condition.shape,
  orSkipped: z
    .boolean()
    .exactOptional()
    .meta({ description: 'True: a track that is skipped meets the condition as well. Default false.' }),
})

const policies = {
  outOfOrder: z.enum(['reject', 'advance', 'hold']).meta({
    description:
      'What becomes of a report that comes before its turn: it is refused, it makes the track jump, or it waits (100 an ' +
      'operation at most).',
  }),
  lateData: z.enum(['fill', 'record']).exactOptional().meta({
    description:
      'Whether an ignored report still adds members of data and metadata that are absent, or is only recorded. Default `fill`.',
  }),
  recordIgnored: z.boolean().exactOptional().meta({
    description: 'False: an ignored report that came with neither key nor sequence leaves no event. Default true.',
  }),
  orderBy: z
    .enum(['sequence', 'observedAt'])
    .exactOptional()
    .meta({
      description:
        'What tells which of two reports is the newer one: the `sequence` that their service gives them, or, for those ' +
        'without one, when they were observed. Default `sequence`.',
    }),
}

/** For the document: the domain checks a definition itself, with pointers to what is wrong. */
export const definitionBody = z
  .union([
    z.strictObject({
      statuses: z.array(statusName).meta({
        description:
          'The short form: one track `main` that goes through these, one after the other; the last one succeeds.',
      }),
      ...policies,
    }),
    z.strictObject({
      tracks: z
        .record(
          trackName,
          z.strictObject({
            initial: statusName.meta({ description: 'The status in which the track starts.' }),
            transitions: z
              .record(statusName, z.array(statusName))
              .meta({ description: 'By status, those that may follow it. A final one has none.' }),
            final: z
              .record(statusName, z.enum(['succeeded', 'failed']))
              .meta({ description: 'The statuses that end the track, and how.' }),
            startsWhen: condition
              .exactOptional()
              .meta({ description: 'The track starts once this holds. Default: with the operation.' }),
            requires: z.record(statusName, z.array(joinCondition)).exactOptional().meta({
              description: 'Joins: by status, the conditions that must all hold before the track may enter it.',
            }),
          }),
        )
        .meta({
          description: 'By name, the parts of an operation that have a status of their own and run in parallel.',
        }),
      ...policies,
    }),
  ])
  .meta({
    id: 'PipelineDefinition',
    description: 'A list of statuses, or tracks written out. docs/pipelines.md explains each member by example.',
    examples: [{ statuses: ['new', 'status1', 'status2', 'done'], outOfOrder: 'advance' }],
  })

const pipelineFields = {
  name: pipelineName,
  version: pipelineVersion,
  definition: jsonObject.meta({ description: 'The long form.' }),
  definedAt: timestamp.nullable().meta({ description: 'Null for what is built in.' }),
}

export const pipeline = z.strictObject(pipelineFields).meta({
  id: 'Pipeline',
  description: 'One version of a pipeline.',
})

export const definedPipeline = z
  .strictObject({
    ...pipelineFields,
    command: z.string().meta({ description: 'The idempotency key.' }),
    outcome: z
      .enum(['defined', 'unchanged'])
      .meta({ description: '`unchanged`: the newest version says the same already.' }),
    revision: revision.nullable().meta({ description: 'Of its definition in the stream `pipeline-{name}`.' }),
    position: positionToken,
  })
  .meta({ id: 'DefinedPipeline', description: 'The answer to a definition.' })

export function pipelineListQuery(pageSizeMax: number) {
  return z.strictObject({ pageSize: pageSize(pageSizeMax), pageToken, ...visibility })
}

export const pipelineList = z
  .strictObject({
    pipelines: z.array(pipeline).meta({ description: 'The newest version of each, by name.' }),
    nextPageToken,
  })
  .meta({ id: 'PipelineList', description: 'A page of pipelines.' })
