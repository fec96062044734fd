import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ProjectionEvent } from '../../operation/events.ts'
import { actorOf } from '../accessControl.ts'
import { sendJson } from '../answer.ts'
import type { ApiServer } from '../apiServer.ts'
import { commandHeaders } from '../commandHeaders.ts'
import type { ApiContext } from '../context.ts'
import { jsonAnswer, problemAnswers } from '../contract/answers.ts'
import { interventionRequestHeaders } from '../contract/headers.ts'
import { noQuery, pageSizeDefault } from '../contract/paging.ts'
import {
  intervention,
  parkedList,
  parkedPageMax,
  parkedParams,
  parkedQuery,
  projectionParams,
  retryBody,
  skipBody,
} from '../contract/projections.ts'
import { intervene } from '../intervention.ts'
import { decodedPlace } from '../operationPage.ts'
import { encodePageToken } from '../pageToken.ts'
import { parkedBody } from '../projectionText.ts'
import { requireProjection } from './projectionRoutes.ts'

const listFilter = 'parked'

/** Streams that could not be folded, and what operators may do about them. */
export function parkedRoutes(app: ApiServer, context: ApiContext): void {
  const pageSizeMax = Math.min(parkedPageMax, context.limits.pageSizeMax)
  app.get(
    '/v1/projections/:name/parked',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listParked',
        summary: 'Streams that could not be folded, by name',
        description:
          'Their rows stand as they were before `revision`; all other streams go on. Reason `tampered`: the hash chain of the ' +
          'stream is broken there, and neither a retry nor a skip takes that away.',
        tags: ['projections'],
        params: projectionParams,
        querystring: parkedQuery(context.limits.pageSizeMax),
        response: { 200: jsonAnswer('A page.', parkedList), ...problemAnswers(404) },
      },
    },
    async (request, reply) => {
      requireProjection(context, request.params.name)
      const { pageSize = Math.min(pageSizeDefault, pageSizeMax), pageToken } = request.query
      const [after = ''] = pageToken === undefined ? [] : decodedPlace(pageToken, listFilter, 1)
      // One more than is shown says whether there is more.
      const { value } = await context.readModel.parkedStreams(pageSize + 1, after)
      const shown = value.slice(0, pageSize)
      const parked = await Promise.all(shown.map((stream) => parkedBody(context, stream)))
      const last = shown.at(-1)
      const nextPageToken =
        value.length > shown.length && last !== undefined ? encodePageToken([last.stream], listFilter) : ''
      return sendJson(reply, 200, JSON.stringify({ parked, nextPageToken }))
    },
  )

  const schema = {
    tags: ['projections'],
    headers: interventionRequestHeaders,
    params: parkedParams,
    querystring: noQuery,
    response: {
      200: jsonAnswer('Recorded, and done.', intervention),
      202: jsonAnswer('Recorded. It is done once the read model is folded up to `position`.', intervention),
      ...problemAnswers(404, 409, 413, 415, 422),
    },
  }

  app.post(
    '/v1/projections/:name/parked/:stream/retry',
    {
      config: { access: 'operator', act: 'projections.retry' },
      schema: {
        ...schema,
        operationId: 'retryParked',
        summary: 'Try again to fold a parked stream',
        description:
          'From the event it is parked at, in order, up to where the projection is; later events follow. When that fails ' +
          'again, it stays parked, perhaps further on. 409 `tampered` when its hash chain is broken: no retry helps. Waits until it is done: 5 s, or as `Prefer: wait=N` says.',
        body: retryBody,
      },
    },
    async (request, reply) => {
      const { name, stream } = request.params
      requireProjection(context, name)
      const { reason } = request.body
      const data = { stream, ...(reason === undefined ? {} : { reason }) }
      return answer(request, reply, { type: 'StreamRetried', data })
    },
  )

  app.post(
    '/v1/projections/:name/parked/:stream/skip',
    {
      config: { access: 'operator', act: 'projections.skip' },
      schema: {
        ...schema,
        operationId: 'skipParked',
        summary: 'Pass over the event a stream is parked at',
        description:
          'For good: the skip is an event of its own in the log, and a rebuild makes the same rows. The stream is folded on ' +
          'from the next event, and parked again where that fails. The event itself stays where it is. 409 `not_parked` ' +
          'when the stream is not parked at just this revision, `tampered` when its hash chain is broken: that is not passed ' +
          'over. Waits until it is done: 5 s, or as `Prefer: wait=N` says.',
        body: skipBody,
      },
    },
    async (request, reply) => {
      const { name, stream } = request.params
      requireProjection(context, name)
      const { revision, reason } = request.body
      return answer(request, reply, { type: 'EventSkipped', data: { stream, revision, reason } })
    },
  )

  async function answer(request: FastifyRequest, reply: FastifyReply, event: ProjectionEvent): Promise<FastifyReply> {
    const { key, traceparent } = commandHeaders(request.headers)
    const actor = actorOf(request)
    const { done, body } = await intervene(
      context,
      { event, key, actor, ...(traceparent === undefined ? {} : { traceparent }) },
      request.headers,
    )
    return sendJson(reply, done ? 200 : 202, JSON.stringify(body))
  }
}
