import type { FastifyReply } from 'fastify'
import type { Command } from '../../operation/commands.ts'
import { operationStream } from '../../operation/streamName.ts'
import { callerOf, ownerOf } from '../accessControl.ts'
import { sendJsonLine } from '../answer.ts'
import type { ApiServer } from '../apiServer.ts'
import { bindingFault } from '../binding.ts'
import { commandHeaders } from '../commandHeaders.ts'
import type { ApiContext } from '../context.ts'
import { jsonAnswer, problemAnswers } from '../contract/answers.ts'
import { openOperationBody, receipt, reportBody } from '../contract/commands.ts'
import { commandRequestHeaders } from '../contract/headers.ts'
import { operationParams } from '../contract/operations.ts'
import { noQuery } from '../contract/paging.ts'
import { entityTag } from '../entityTags.ts'
import { ProblemError } from '../problem.ts'
import { type Accepted, acceptedStatus, receiptLine } from '../receiptText.ts'
import {
  type Asker,
  commandProblem,
  type NotAccepted,
  openOperation,
  reportStatus,
  sinceExpected,
} from '../submission.ts'

const commandProblems = [404, 409, 412, 413, 415, 422] as const

export function commandRoutes(app: ApiServer, context: ApiContext): void {
  app.post(
    '/v1/operations',
    {
      config: { access: 'service' },
      schema: {
        operationId: 'openOperation',
        summary: 'Open an operation',
        description:
          'Needed only to give a theme or a document to begin with: a report that names its pipeline opens an operation as well. After such a report one open is still taken, and fills in what is absent.',
        tags: ['commands'],
        headers: commandRequestHeaders,
        querystring: noQuery,
        body: openOperationBody,
        response: {
          200: jsonAnswer('A report had opened it: theme and documents are filled in, once.', receipt),
          201: jsonAnswer('Opened: now, or by the command this one repeats.', receipt),
          ...problemAnswers(...commandProblems),
        },
      },
    },
    (request, reply) => {
      const caller = callerOf(request)
      const command = openOperation(request.body, commandHeaders(request.raw.headers), caller)
      carryOut(context, command, { caller, reply })
    },
  )

  app.post(
    '/v1/operations/:id/reports',
    {
      config: { access: 'service' },
      schema: {
        operationId: 'reportStatus',
        summary: 'Report a status, data and metadata of an operation',
        description:
          'Decided by the rules of the pipeline (docs/pipelines.md). Send it again with the same `Idempotency-Key` until it is answered: it is recorded once. An ignored or held report is 200, and its `reason` says why.',
        tags: ['commands'],
        headers: commandRequestHeaders,
        params: operationParams,
        querystring: noQuery,
        body: reportBody,
        response: {
          200: jsonAnswer('Taken: `outcome` says what became of it.', receipt),
          201: jsonAnswer('Taken, and the operation opened with it.', receipt),
          ...problemAnswers(...commandProblems),
        },
      },
    },
    (request, reply) => {
      const { params, body, raw } = request
      const caller = callerOf(request)
      const command = reportStatus(params.id, body, commandHeaders(raw.headers), caller)
      carryOut(context, command, { caller, reply })
    },
  )
}

/** Answers by itself, later: a promise for Fastify to wait for would take several more turns of the microtask queue. */
function carryOut(context: ApiContext, command: Command, asker: Asker): void {
  const { caller, reply } = asker
  const fault = bindingFault(caller.binding, command)
  if (fault !== null) throw new ProblemError(fault)
  context.commands.submit(command, undefined, ownerOf(reply.request)).then(
    (result) => {
      if (result.kind === 'accepted') sendReceipt(context, result, reply)
      else sendProblem(context, command, result, asker)
    },
    (bug) => reply.send(bug),
  )
}

function sendReceipt(context: ApiContext, result: Accepted, reply: FastifyReply): void {
  reply.header('etag', entityTag(result.revision))
  const status = acceptedStatus(result)
  if (status === 201) reply.header('location', `/v1/operations/${result.operation}`)
  sendJsonLine(reply, status, receiptLine(result, context.tokens))
}

function sendProblem(context: ApiContext, command: Command, result: NotAccepted, asker: Asker): void {
  const { reply } = asker
  const problem = commandProblem(result)
  const expected = { code: problem.code, revision: command.expectedRevision }
  sinceExpected(context, operationStream(command.operation), expected, asker).then(
    (since) => reply.send(new ProblemError({ ...problem, ...since })),
    (bug) => reply.send(bug),
  )
}
