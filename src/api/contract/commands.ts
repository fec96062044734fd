import { z } from 'zod'
import {
  idempotencyKey,
  jsonObject,
  operationId,
  pipelineName,
  pipelineVersion,
  positionToken,
  revision,
  sequence,
  serviceName,
  statusName,
  themeName,
  timestampInput,
  trackName,
} from './names.ts'
import { problem } from './problem.ts'

const openFields = {
  pipeline: pipelineName,
  pipelineVersion: pipelineVersion.exactOptional().meta({ description: 'Default: the newest.' }),
  theme: themeName
    .nullable()
    .exactOptional()
    .meta({ description: 'What the operation is about, to filter by: 1 to 128 printable characters. Set once.' }),
  data: jsonObject
    .exactOptional()
    .meta({ description: 'The document to begin with, or what is known of it; 512 KiB at most.' }),
  metadata: jsonObject.exactOptional().meta({
    description: 'What is said about its passage, to filter by; 16 KiB at most.',
    examples: [{ customer: 'c-17' }],
  }),
}

const reportFields = {
  service: serviceName,
  status: statusName,
  track: trackName.exactOptional().meta({ description: "Default: the pipeline's only track, or `main`." }),
  sequence: sequence.exactOptional(),
  observedAt: timestampInput
    .exactOptional()
    .meta({ description: 'When the service saw it happen. Decides only in a pipeline with `orderBy: "observedAt"`.' }),
  data: jsonObject.exactOptional().meta({ description: "Merge patch (RFC 7396) onto the operation's data." }),
  metadata: jsonObject.exactOptional().meta({ description: "Merge patch (RFC 7396) onto the operation's metadata." }),
  pipeline: pipelineName.exactOptional().meta({ description: 'Opens the operation when it is not there yet.' }),
  pipelineVersion: pipelineVersion
    .exactOptional()
    .meta({ description: "Opens the operation in this version; on one that is there it must be the operation's." }),
  final: z
    .enum(['succeeded', 'failed'])
    .exactOptional()
    .meta({ description: 'Ends the operation; in pipeline `any` only.' }),
}

export const openOperationBody = z.strictObject({ id: operationId.exactOptional(), ...openFields }).meta({
  id: 'OpenOperation',
  description: 'Without `id` the server makes one from the caller and the idempotency key: a retry finds the same.',
  examples: [{ id: 'inv-17', pipeline: 'invoice', theme: 'claims', data: { customer: 'c-17' } }],
})
export type OpenOperationBody = z.infer<typeof openOperationBody>

export const reportBody = z.strictObject(reportFields).meta({
  id: 'Report',
  description: 'A service says in which status a track is now, and what it found out about the document.',
  examples: [{ pipeline: 'invoice', service: 'ocr', status: 'read', sequence: 1, data: { total: 118.5 } }],
})
export type ReportBody = z.infer<typeof reportBody>

const lineFields = {
  command: idempotencyKey.exactOptional(),
  expectedRevision: revision.exactOptional(),
}

export const openOperationLine = z
  .strictObject({
    type: z.literal('OpenOperation').meta({ description: 'The kind of command.' }),
    operation: operationId.exactOptional(),
    ...lineFields,
    ...openFields,
  })
  .meta({ id: 'OpenOperationLine', description: 'A line that opens an operation.' })

export const reportLine = z
  .strictObject({
    type: z.literal('ReportStatus').meta({ description: 'The kind of command.' }),
    operation: operationId,
    ...lineFields,
    ...reportFields,
  })
  .meta({ id: 'ReportStatusLine', description: 'A line that reports a status.' })

/** One line of `application/x-ndjson`. */
export const commandLine = z.discriminatedUnion('type', [openOperationLine, reportLine]).meta({
  id: 'CommandLine',
  description: 'One line of a bulk request: a command as a JSON object.',
})

const receiptFields = {
  operation: z.string().meta({ description: 'The id of the operation.' }),
  command: z.string().meta({ description: 'The idempotency key.' }),
  outcome: z.enum(['opened', 'applied', 'ignored', 'held']).meta({
    description:
      '`opened`: the operation is there. `applied`: its status, data or metadata changed. `ignored`: on record, and no ' +
      'status changed. `held`: it waits for its turn.',
  }),
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
    .meta({ description: 'Why it was ignored or held. `too_large` is in receipts of versions before 0.2 only.' }),
  revision: revision.meta({ description: 'Of the last event appended; the current one when nothing was.' }),
  position: positionToken,
}

export const receipt = z
  .strictObject(receiptFields)
  .meta({ id: 'Receipt', description: 'The answer to a command; a repeat of its key gets the same.' })

export const commandParams = z.strictObject({ id: operationId, key: idempotencyKey })

export const commandOutcome = z
  .strictObject({
    ...receiptFields,
    now: z
      .strictObject({
        outcome: receiptFields.outcome,
        reason: receiptFields.reason,
        revision,
        position: positionToken,
      })
      .exactOptional()
      .meta({ description: 'Of a report that was held: what it has come to by now; `held` while it waits.' }),
  })
  .meta({ id: 'CommandOutcome', description: 'The receipt of a command and, of a held report, what it has come to.' })

const httpStatus = z.int().meta({ description: 'What the command would have been answered alone.', examples: [200] })

const acceptedLine = z
  .strictObject({ ...receiptFields, httpStatus })
  .meta({ id: 'AcceptedLine', description: 'The result of a line that was accepted.' })

const refusedLine = z
  .strictObject({
    line: z.int().exactOptional().meta({ description: 'Its number, from 1; with `results=failures` only.' }),
    operation: z.string().exactOptional().meta({ description: 'The id of the operation, where the line names one.' }),
    command: z.string().exactOptional().meta({ description: 'The idempotency key, where there is one.' }),
    httpStatus,
    problem,
  })
  .meta({ id: 'RefusedLine', description: 'The result of a line that was refused or not taken.' })

const cutLine = z
  .strictObject({
    httpStatus,
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
export const resultLine = z.union([acceptedLine, refusedLine, cutLine, endLine]).meta({
  id: 'ResultLine',
  description: 'The result of one line, in the order of the lines, or how the answer ends.',
})

export const bulkQuery = z.strictObject({
  results: z.enum(['all', 'failures']).exactOptional().meta({
    description:
      'Default `all`: a result for each line. `failures`: for each line that was refused, and a last line that counts.',
  }),
})
