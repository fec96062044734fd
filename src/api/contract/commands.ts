import { z } from 'zod'
import {
  idempotencyKey,
  jsonObject,
  label,
  operationId,
  pipelineName,
  pipelineVersion,
  positionToken,
  revision,
  sequence,
  timestampInput,
  trackName,
} from './names.ts'
import { problem } from './problem.ts'

const openFields = {
  pipeline: pipelineName,
  pipelineVersion: pipelineVersion.exactOptional().meta({ description: 'Default: the newest.' }),
  theme: label.nullable().exactOptional(),
  data: jsonObject.exactOptional(),
  metadata: jsonObject.exactOptional(),
}

const reportFields = {
  service: label,
  status: label,
  track: trackName.exactOptional().meta({ description: "Default: the pipeline's only track, or `main`." }),
  sequence: sequence.exactOptional(),
  observedAt: timestampInput.exactOptional().meta({ description: 'When the service saw it happen. Decides nothing.' }),
  data: jsonObject.exactOptional().meta({ description: "Merge patch (RFC 7396) onto the operation's data." }),
  metadata: jsonObject.exactOptional().meta({ description: "Merge patch (RFC 7396) onto the operation's metadata." }),
  pipeline: pipelineName.exactOptional().meta({ description: 'Opens the operation when it is not there yet.' }),
  pipelineVersion: pipelineVersion.exactOptional(),
  final: z
    .enum(['succeeded', 'failed'])
    .exactOptional()
    .meta({ description: 'Ends the operation; in pipeline `any` only.' }),
}

export const openOperationBody = z
  .strictObject({ id: operationId.exactOptional(), ...openFields })
  .meta({ id: 'OpenOperation' })
export type OpenOperationBody = z.infer<typeof openOperationBody>

export const reportBody = z.strictObject(reportFields).meta({ id: 'Report' })
export type ReportBody = z.infer<typeof reportBody>

const lineFields = {
  command: idempotencyKey.exactOptional(),
  expectedRevision: revision.exactOptional(),
}

export const openOperationLine = z
  .strictObject({
    type: z.literal('OpenOperation'),
    operation: operationId.exactOptional(),
    ...lineFields,
    ...openFields,
  })
  .meta({ id: 'OpenOperationLine' })

export const reportLine = z
  .strictObject({ type: z.literal('ReportStatus'), operation: operationId, ...lineFields, ...reportFields })
  .meta({ id: 'ReportStatusLine' })

/** One line of `application/x-ndjson`. */
export const commandLine = z.discriminatedUnion('type', [openOperationLine, reportLine]).meta({ id: 'CommandLine' })

const receiptFields = {
  operation: z.string(),
  command: z.string().meta({ description: 'The idempotency key.' }),
  outcome: z.enum(['opened', 'applied', 'ignored', 'held']),
  reason: z
    .enum([
      'older_sequence',
      'duplicate',
      'overtaken',
      'unreachable',
      'operation_ended',
      'too_large',
      'predecessor_missing',
      'requirement_unmet',
    ])
    .exactOptional()
    .meta({ description: 'Why it was ignored or held.' }),
  revision: revision.meta({ description: 'Of the last event appended; the current one when nothing was.' }),
  position: positionToken,
}

export const receipt = z.strictObject(receiptFields).meta({ id: 'Receipt' })

const acceptedLine = z.strictObject({ ...receiptFields, httpStatus: z.int() }).meta({ id: 'AcceptedLine' })

const refusedLine = z
  .strictObject({
    line: z.int().exactOptional().meta({ description: 'Its number, from 1; with `results=failures` only.' }),
    operation: z.string().exactOptional(),
    command: z.string().exactOptional(),
    httpStatus: z.int(),
    problem,
  })
  .meta({ id: 'RefusedLine' })

const cutLine = z
  .strictObject({
    httpStatus: z.int(),
    readUpTo: z.int().meta({ description: 'The number of the last line that was read, from 1.' }),
    problem,
  })
  .meta({ id: 'CutLine', description: 'The last line of an answer that ends before the request does.' })

const endLine = z
  .strictObject({
    lines: z.int().meta({ description: 'Lines that were carried out or refused; blank ones are not counted.' }),
    failed: z.int().meta({ description: 'How many of them were refused.' }),
  })
  .meta({
    id: 'EndLine',
    description: 'With `results=failures`: the last line when each line has been carried out or refused.',
  })

/** One line of the bulk answer. */
export const resultLine = z.union([acceptedLine, refusedLine, cutLine, endLine]).meta({ id: 'ResultLine' })

export const bulkQuery = z.strictObject({
  results: z.enum(['all', 'failures']).exactOptional().meta({
    description:
      'Default `all`: a result for each line. `failures`: for each line that was refused, and a last line that counts.',
  }),
})
