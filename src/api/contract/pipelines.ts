import { z } from 'zod'
import {
  jsonObject,
  label,
  pipelineName,
  pipelineVersion,
  positionToken,
  revision,
  timestamp,
  trackName,
} from './names.ts'
import { integerParameter, pageSize, pageToken, visibility } from './paging.ts'

export const pipelineParams = z.strictObject({ name: pipelineName })

export const pipelineVersionParams = z.strictObject({ name: pipelineName, version: integerParameter(pipelineVersion) })

const condition = z.strictObject({ track: trackName, in: z.array(label) })

const joinCondition = z.strictObject({
  ...condition.shape,
  orSkipped: z
    .boolean()
    .exactOptional()
    .meta({ description: 'True: a track that is skipped meets the condition as well. Default false.' }),
})

const policies = {
  outOfOrder: z.enum(['reject', 'advance', 'hold']).exactOptional(),
  lateData: z.enum(['fill', 'record']).exactOptional(),
  recordIgnored: z.boolean().exactOptional(),
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
    z.strictObject({ statuses: z.array(label), ...policies }),
    z.strictObject({
      tracks: z.record(
        trackName,
        z.strictObject({
          initial: label,
          transitions: z.record(label, z.array(label)),
          final: z.record(label, z.enum(['succeeded', 'failed'])),
          startsWhen: condition.exactOptional(),
          requires: z.record(label, z.array(joinCondition)).exactOptional(),
        }),
      ),
      ...policies,
    }),
  ])
  .meta({
    id: 'PipelineDefinition',
    examples: [{ statuses: ['new', 'status1', 'status2', 'done'], outOfOrder: 'advance' }],
  })

const pipelineFields = {
  name: pipelineName,
  version: pipelineVersion,
  definition: jsonObject.meta({ description: 'The long form.' }),
  definedAt: timestamp.nullable().meta({ description: 'Null for what is built in.' }),
}

export const pipeline = z.strictObject(pipelineFields).meta({ id: 'Pipeline' })

export const definedPipeline = z
  .strictObject({
    ...pipelineFields,
    command: z.string().meta({ description: 'The idempotency key.' }),
    outcome: z.enum(['defined', 'unchanged']),
    revision: revision.nullable(),
    position: positionToken,
  })
  .meta({ id: 'DefinedPipeline' })

export function pipelineListQuery(pageSizeMax: number) {
  return z.strictObject({ pageSize: pageSize(pageSizeMax), pageToken, ...visibility })
}

export const pipelineList = z
  .strictObject({ pipelines: z.array(pipeline), nextPageToken: z.string() })
  .meta({ id: 'PipelineList' })
