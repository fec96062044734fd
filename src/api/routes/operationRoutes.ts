import { z } from 'zod'
import { entityTag, sendJson } from '../answer.ts'
import type { ApiServer } from '../apiServer.ts'
import type { ApiContext } from '../context.ts'
import { jsonAnswer, problemAnswers } from '../contract/answers.ts'
import { operationRequestHeaders, readRequestHeaders } from '../contract/headers.ts'
import {
  operation,
  operationList,
  operationListQuery,
  operationParams,
  operationQuery,
} from '../contract/operations.ts'
import type { Live } from '../live/live.ts'
import { findOperation } from '../operationAnswer.ts'
import { listOperations } from '../operationPage.ts'
import { awaitOperation } from '../operationWait.ts'
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
          304: z.null().meta({ description: 'Still at the revision of `If-None-Match`.' }),
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
      const tag = entityTag(found.revision)
      reply.header('waybill-position', context.tokens.encode(found.position)).header('etag', tag)
      if (request.headers['if-none-match'] === tag && found.isParked !== true) return reply.code(304).send()
      return sendJson(reply, 200, found.text)
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
      const page = await readVisible(context, query, headers, () => listOperations(context, query))
      reply.header('waybill-position', context.tokens.encode(page.position))
      return sendJson(reply, 200, page.text)
    },
  )
}
