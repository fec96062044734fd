import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Role } from '../../access/access.ts'
import { isAllowed } from '../accessControl.ts'
import type { ApiServer } from '../apiServer.ts'
import type { ApiContext } from '../context.ts'
import { problemAnswers } from '../contract/answers.ts'
import { eventStreamQuery } from '../contract/events.ts'
import { streamRequestHeaders } from '../contract/headers.ts'
import { operationStreamQuery } from '../contract/operations.ts'
import type { Live, StreamAnswer, StreamStart } from '../live/live.ts'
import { eventStream, requireEventStream } from '../mediaTypes.ts'
import { filterOf } from '../operationPage.ts'
import { ProblemError } from '../problem.ts'
import { positionOf } from '../visibility.ts'

const messages = (description: string) => ({
  description,
  content: { [eventStream]: { schema: z.string().meta({ description: 'Server-sent events.' }) } },
})

export function liveRoutes(app: ApiServer, context: ApiContext, live: Live): void {
  app.get(
    '/v1/events/stream',
    {
      config: { access: 'auditor' },
      schema: {
        operationId: 'streamEvents',
        summary: 'Events as they are appended',
        description:
          'Each event after a position, once and in order: first what is in the log, then what comes. ' +
          'The data of a message `event` is a RecordedEvent, its id the position to go on from.',
        tags: ['history'],
        headers: streamRequestHeaders,
        querystring: eventStreamQuery,
        response: { 200: messages('Messages `event`.'), ...problemAnswers(406, 410) },
      },
    },
    async (request, reply) => {
      const { after, operation, pipeline } = request.query
      const start = startOf(context, request, after)
      if (request.method === 'HEAD') return headOf(context, reply, start)
      await live.streamEvents(answerOf(context, request, reply, 'auditor'), start, {
        ...(operation === undefined ? {} : { operation }),
        ...(pipeline === undefined ? {} : { pipeline }),
      })
      return reply
    },
  )

  app.get(
    '/v1/operations/stream',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'streamOperations',
        summary: 'Operations as they change',
        description:
          'Each operation that matches and was changed after a position, as it stands now, then each time it changes: ' +
          'once the read model shows it. The data of a message `operation` is an Operation; `left` tells the id, revision ' +
          'and position of one that does not match (any more). The parameters of the list, without its order and its pages.',
        tags: ['queries'],
        headers: streamRequestHeaders,
        querystring: operationStreamQuery,
        response: { 200: messages('Messages `operation` and `left`.'), ...problemAnswers(406, 410) },
      },
    },
    async (request, reply) => {
      const { after, ...query } = request.query
      const start = startOf(context, request, after)
      if (request.method === 'HEAD') return headOf(context, reply, start)
      await live.streamOperations(answerOf(context, request, reply, 'viewer'), start, filterOf(query))
      return reply
    },
  )
}

/** `Last-Event-ID` goes before `after`: who reconnects by itself (EventSource) sends the one it began with as well. */
function startOf(context: ApiContext, { headers }: FastifyRequest, after: string | undefined): StreamStart {
  requireEventStream(headers.accept)
  const last = headers['last-event-id']
  if (Array.isArray(last)) throw new ProblemError({ code: 'invalid', detail: 'Last-Event-ID is given twice.' })
  if (last !== undefined && last !== '') return positionOf(context, last, 'Last-Event-ID', 'header')
  if (after === 'head') return 'head'
  return after === undefined ? 0n : positionOf(context, after, 'after')
}

async function headOf(context: ApiContext, reply: FastifyReply, start: StreamStart): Promise<FastifyReply> {
  const position = start === 'head' ? await context.log.head() : start
  return reply.headers(headersOf(context, position)).send()
}

function headersOf({ tokens }: ApiContext, position: bigint): Record<string, string> {
  return {
    'content-type': eventStream,
    'cache-control': 'no-cache',
    // Some proxies hold an answer back until it ends.
    'x-accel-buffering': 'no',
    'waybill-position': tokens.encode(position),
  }
}

/** From `begin` on the connection is the stream's: Fastify's way of answering knows no end of a slow reader. */
function answerOf(context: ApiContext, request: FastifyRequest, reply: FastifyReply, role: Role): StreamAnswer {
  const { authorization } = request.headers
  return {
    response: reply.raw,
    isAllowed: () => isAllowed(context.access, authorization, role),
    begin(position) {
      for (const [name, value] of Object.entries({ ...reply.getHeaders(), ...headersOf(context, position) })) {
        if (value !== undefined) reply.raw.setHeader(name, value)
      }
      reply.hijack()
      reply.raw.flushHeaders()
    },
  }
}
