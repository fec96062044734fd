import { Readable } from 'node:stream'
import { auditStream } from '../../operation/streamName.ts'
import { requireKeyKnown } from '../accessControl.ts'
import { sendJson } from '../answer.ts'
import type { ApiServer } from '../apiServer.ts'
import type { ApiContext } from '../context.ts'
import { jsonAnswer, problemAnswers } from '../contract/answers.ts'
import { eventPage, logEventsQuery, operationEventsQuery } from '../contract/events.ts'
import { operationParams } from '../contract/operations.ts'
import { pageSizeDefault } from '../contract/paging.ts'
import { recordedEvent } from '../contract/recordedEvent.ts'
import { logLines, logPage, operationEventPage, type StreamPageOptions, streamPage } from '../eventPages.ts'
import { ndjson, ndjsonTypeOf, ndjsonTypes } from '../mediaTypes.ts'
import { positionOf } from '../visibility.ts'

interface PageQuery {
  readonly fromRevision?: number | undefined
  readonly direction?: 'forwards' | 'backwards' | undefined
  readonly pageSize?: number | undefined
}

export function eventRoutes(app: ApiServer, context: ApiContext): void {
  const { pageSizeMax } = context.limits
  const pageOptions = ({ fromRevision, direction, pageSize }: PageQuery): StreamPageOptions => ({
    direction: direction ?? 'forwards',
    pageSize: pageSize ?? Math.min(pageSizeDefault, pageSizeMax),
    ...(fromRevision === undefined ? {} : { fromRevision: BigInt(fromRevision) }),
  })

  app.get(
    '/v1/operations/:id/events',
    {
      config: { access: 'auditor' },
      schema: {
        operationId: 'listOperationEvents',
        summary: "An operation's events, from the log",
        description: 'From the log itself, in pages, forwards or backwards.',
        tags: ['history'],
        params: operationParams,
        querystring: operationEventsQuery(pageSizeMax),
        response: { 200: jsonAnswer('A page.', eventPage), ...problemAnswers(404) },
      },
    },
    async (request, reply) => {
      const page = await operationEventPage(context, request.params.id, pageOptions(request.query))
      reply.header('waybill-position', context.tokens.encode(page.position))
      return sendJson(reply, 200, page.text)
    },
  )

  app.get(
    '/v1/audit',
    {
      config: { access: 'auditor' },
      schema: {
        operationId: 'listActs',
        summary: 'What operators did',
        description:
          'Keys made and revoked, pauses, resumes, rebuilds, retries and skips: who asked for it (name and id of the key, ' +
          'address) and when. Events `OperatorActed` of the stream `audit`, in pages, forwards or backwards.',
        tags: ['history'],
        querystring: operationEventsQuery(pageSizeMax),
        response: { 200: jsonAnswer('A page.', eventPage), ...problemAnswers() },
      },
    },
    async (request, reply) => {
      const page = await streamPage(context, auditStream, pageOptions(request.query))
      reply.header('waybill-position', context.tokens.encode(page.position))
      return sendJson(reply, 200, page.text)
    },
  )

  app.get(
    '/v1/events',
    {
      config: { access: 'auditor' },
      schema: {
        operationId: 'listEvents',
        summary: 'The whole log in its order',
        description: `With \`Accept: ${ndjson}\`: an event a line, streamed up to the head the log had when the call came.`,
        tags: ['history'],
        querystring: logEventsQuery(pageSizeMax),
        response: {
          200: {
            description: 'A page, or a line an event.',
            content: {
              'application/json': { schema: eventPage },
              ...Object.fromEntries(ndjsonTypes.map((type) => [type, { schema: recordedEvent }])),
            },
          },
          ...problemAnswers(406, 410),
        },
      },
    },
    async (request, reply) => {
      const { after: token, pageSize } = request.query
      const after = token === undefined ? 0n : positionOf(context, token, 'after')
      reply.header('vary', 'accept')
      const lineType = ndjsonTypeOf(request.headers.accept)
      if (lineType !== null) {
        const head = await context.log.head()
        reply.header('waybill-position', context.tokens.encode(head))
        reply.header('content-type', `${lineType}; charset=utf-8`)
        if (request.method === 'HEAD') return reply.send()
        const requireAllowed = () => requireKeyKnown(context.access, request.headers.authorization)
        return reply.send(
          Readable.from(logLines(context, after, head, pageSize ?? null, requireAllowed), { objectMode: false }),
        )
      }
      const page = await logPage(context, after, pageSize ?? Math.min(pageSizeDefault, pageSizeMax))
      reply.header('waybill-position', context.tokens.encode(page.position))
      return sendJson(reply, 200, page.text)
    },
  )
}
