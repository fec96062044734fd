import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Role } from '../../access/access.ts'
import { isJsonObject } from '../../operation/json.ts'
import { isAllowed, ownerOf } from '../accessControl.ts'
import type { ApiServer } from '../apiServer.ts'
import type { ApiContext } from '../context.ts'
import { problemAnswers } from '../contract/answers.ts'
import { eventStreamQuery } from '../contract/events.ts'
import { streamRequestHeaders } from '../contract/headers.ts'
import { operationStreamQuery } from '../contract/operations.ts'
import type { Live } from '../live/live.ts'
import type { StreamAnswer, StreamStart } from '../live/streamAnswer.ts'
import { eventStream, requireEventStream } from '../mediaTypes.ts'
import { filterOf } from '../operationPage.ts'
import { expectedProblem, ProblemError, problemStatus } from '../problem.ts'
import { positionOf } from '../visibility.ts'

const messages = (description: string) => ({
  description,
  content: { [eventStream]: { schema: z.string().meta({ description: 'Server-sent events.' }) } },
})

const everyStream =
  'Messages `position` say how far the stream has come, at its beginning and in its heartbeats: their data is their id, ' +
  'and nobody has to handle them. A node that is full, shuts down or cannot reach its log answers 200 as well, with the ' +
  'place, a `retry:` and the end of the stream: many readers never come back after an error. (503 and 429 are answers to ' +
  'HEAD.)'

export function liveRoutes(app: ApiServer, context: ApiContext, live: Live): void {
  const turnsAway = (role: Role) => ({
    errorHandler: (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
      turnAway(context, live, { error, request, reply, role }),
  })

  app.get(
    '/v1/events/stream',
    {
      config: { access: 'auditor' },
      ...turnsAway('auditor'),
      schema: {
        operationId: 'streamEvents',
        summary: 'Events as they are appended',
        description:
          'Each event after a position, once and in order: first what is in the log, then what comes. The data of a ' +
          `message \`event\` is a RecordedEvent, its id the position to resume after. ${everyStream}`,
        tags: ['history'],
        headers: streamRequestHeaders,
        querystring: eventStreamQuery,
        response: { 200: messages('Messages `event` and `position`.'), ...problemAnswers(406, 410) },
      },
    },
    async (request, reply) => {
      const { after, lastEventId, operation, pipeline } = request.query
      const start = startOf(context, request, { after, lastEventId })
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
      ...turnsAway('viewer'),
      schema: {
        operationId: 'streamOperations',
        summary: 'Operations as they change',
        description:
          'Each operation that matches and was changed after a position, as it stands now, then each time it changes: ' +
          'once the read model shows it. The data of a message `operation` is an Operation; `left` tells the id, revision ' +
          'and position of one that does not match (any more). The parameters of the list, without its order and its pages. ' +
          everyStream,
        tags: ['queries'],
        headers: streamRequestHeaders,
        querystring: operationStreamQuery,
        response: { 200: messages('Messages `operation`, `left` and `position`.'), ...problemAnswers(406, 410) },
      },
    },
    async (request, reply) => {
      const { after, lastEventId, ...query } = request.query
      const start = startOf(context, request, { after, lastEventId })
      if (request.method === 'HEAD') return headOf(context, reply, start)
      await live.streamOperations(answerOf(context, request, reply, 'viewer'), start, filterOf(query))
      return reply
    },
  )
}

interface StartQuery {
  readonly after?: string | undefined
  readonly lastEventId?: string | undefined
}

/**
 * `Last-Event-ID` goes before `lastEventId`, and that before `after`: who reconnects by itself (EventSource) sends the
 * address that it began with as well. Throws ProblemError.
 */
function startOf(context: ApiContext, { headers }: FastifyRequest, { after, lastEventId }: StartQuery): StreamStart {
  requireEventStream(headers.accept)
  const last = headers['last-event-id']
  if (Array.isArray(last)) throw new ProblemError({ code: 'invalid', detail: 'Last-Event-ID is given twice.' })
  if (last !== undefined && last !== '') return positionOf(context, last, 'Last-Event-ID', 'header')
  if (lastEventId !== undefined && lastEventId !== '') {
    return positionOf(context, lastEventId, 'lastEventId')
  }
  if (after === 'head') return 'head'
  return after === undefined ? 0n : positionOf(context, after, 'after')
}

/** A request may have been refused before its query was looked at: what is given twice is a list there. */
function unvalidatedStart(query: unknown): StartQuery {
  if (!isJsonObject(query)) return {}
  const textOf = (value: unknown) => (value === undefined ? undefined : typeof value === 'string' ? value : 'twice')
  return { after: textOf(query.after), lastEventId: textOf(query.lastEventId) }
}

async function headOf(context: ApiContext, reply: FastifyReply, start: StreamStart): Promise<FastifyReply> {
  const position = start === 'head' ? await context.log.head() : start
  return reply.headers(headersOf(context, position)).send()
}

function headersOf({ tokens }: ApiContext, position: bigint | null): Record<string, string> {
  return {
    'content-type': eventStream,
    'cache-control': 'no-cache',
    // Some proxies hold an answer back until it ends.
    'x-accel-buffering': 'no',
    ...(position === null ? {} : { 'waybill-position': tokens.encode(position) }),
  }
}

/** What passes: another attempt, here or at another node, may be served. */
const passing: ReadonlySet<number> = new Set([429, 503])

/**
 * In the standard any status but 200 ends an EventSource for good, and so it is with browsers, `undici` and `eventsource` 3
 * and 5. So what passes is answered as a stream that ends at once. Rethrows what does not.
 */
async function turnAway(
  context: ApiContext,
  live: Live,
  options: {
    readonly error: unknown
    readonly request: FastifyRequest
    readonly reply: FastifyReply
    readonly role: Role
  },
): Promise<void> {
  const { error, request, reply, role } = options
  const problem = expectedProblem(error)
  if (problem === null || !passing.has(problemStatus(problem)) || request.method === 'HEAD') throw error
  const start = startOf(context, request, unvalidatedStart(request.query))
  const place = start === 'head' ? await live.headOrNull() : start
  live.turnAway(answerOf(context, request, reply, role), place)
}

/** From `begin` on the connection is the stream's: Fastify's way of answering knows no end of a slow reader. */
function answerOf(context: ApiContext, request: FastifyRequest, reply: FastifyReply, role: Role): StreamAnswer {
  const { authorization } = request.headers
  return {
    response: reply.raw,
    owner: ownerOf(request),
    isAllowed: () => isAllowed(context.access, authorization, role),
    begin(position) {
      for (const [name, value] of Object.entries({ ...reply.getHeaders(), ...headersOf(context, position) })) {
        if (value !== undefined) reply.raw.setHeader(name, value)
      }
      // A request that was to be refused had another.
      reply.raw.statusCode = 200
      reply.hijack()
      reply.raw.flushHeaders()
    },
  }
}
