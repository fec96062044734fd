import { z } from 'zod'
import { callerOf, ownerOf } from '../accessControl.ts'
import { sendJson } from '../answer.ts'
import type { ApiServer } from '../apiServer.ts'
import { requirePipelineOf } from '../binding.ts'
import type { ApiContext } from '../context.ts'
import { jsonAnswer, problemAnswers } from '../contract/answers.ts'
import { commandOutcome, commandParams } from '../contract/commands.ts'
import { operationRequestHeaders, readRequestHeaders } from '../contract/headers.ts'
import {
  operation,
  operationList,
  operationListQuery,
  operationParams,
  operationQuery,
} from '../contract/operations.ts'
import { noQuery } from '../contract/paging.ts'
import { isKnown, knownRevisions, taggedHeaders } from '../entityTags.ts'
import type { Live } from '../live/live.ts'
import { findOperation } from '../operationAnswer.ts'
import { listOperations } from '../operationPage.ts'
import { awaitOperation } from '../operationWait.ts'
import { ProblemError } from '../problem.ts'
import { outcomeText } from '../receiptText.ts'
import { readVisible } from '../visibility.ts'

export function operationRoutes(app: ApiServer, context: ApiContext, live: Live): void {
  app.get(
    '/v1/operations/:id',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'getOperation',
        summary: 'An operation as it stands',
        description: "The fresher of this node's memory and the read model; the log is asked before the answer is 404.",
        tags: ['queries'],
        headers: operationRequestHeaders,
        params: operationParams,
        querystring: operationQuery,
        response: {
          200: jsonAnswer('The operation.', operation),
          304: z.null().meta({ description: 'Still at a revision of `If-None-Match`.' }),
          ...problemAnswers(404, 410),
        },
      },
    },
    async (request, reply) => {
      const { until, ...question } = request.query
      const { id } = request.params
      const found =
        until === undefined
          ? await findOperation(context, id, question, request.headers)
          : await awaitOperation(context, live, { id, until, question, request, reply })
      const { position, revision } = found
      reply.header('waybill-position', context.tokens.encode(position)).headers(taggedHeaders(revision))
      if (found.isParked !== true && isKnown(knownRevisions(request.headers), revision)) return reply.code(304).send()
      return sendJson(reply, 200, found.text)
    },
  )

  app.get(
    '/v1/operations/:id/commands/:key',
    {
      config: { access: ['service', 'viewer'] },
      schema: {
        operationId: 'getCommandOutcome',
        summary: 'What became of a command',
        description:
          'The receipt of the command that was recorded under an idempotency key, at any age, and of a held report what ' +
          'it has come to since. Asks the log. A command that was refused, or ignored without a trace, has none.',
        tags: ['queries'],
        headers: readRequestHeaders,
        params: commandParams,
        querystring: noQuery,
        response: { 200: jsonAnswer('The receipt.', commandOutcome), ...problemAnswers(404) },
      },
    },
    async (request, reply) => {
      const { id, key } = request.params
      await requirePipelineOf(context, callerOf(request), id)
      const outcome = await context.commands.outcome(id, key)
      if (outcome === null) {
        const detail = 'No command of this operation is recorded under this key.'
        throw new ProblemError({ code: 'not_found', detail, operation: id, command: key })
      }
      reply.header('waybill-position', context.tokens.encode((outcome.now ?? outcome.receipt).position))
      return sendJson(reply, 200, outcomeText(id, key, outcome, context.tokens))
    },
  )

  const { pageSizeMax } = context.limits
  app.get(
    '/v1/operations',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listOperations',
        summary: 'Operations that match a filter',
        description: 'Any number of `metadata.KEY=VALUE` parameters (10 at most) ask for top-level metadata members.',
        tags: ['queries'],
        headers: readRequestHeaders,
        querystring: operationListQuery(pageSizeMax),
        response: { 200: jsonAnswer('A page.', operationList), ...problemAnswers(410) },
      },
    },
    async (request, reply) => {
      const { query, headers } = request
      const page = await readVisible(context, query, headers, () =>
        context.reads.run(ownerOf(request), () => listOperations(context, query)),
      )
      reply.header('waybill-position', context.tokens.encode(page.position))
      return sendJson(reply, 200, page.text)
    },
  )
}
