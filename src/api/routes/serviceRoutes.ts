import { z } from 'zod'
import { isKnownReader, ownerOf } from '../accessControl.ts'
import { sendJson } from '../answer.ts'
import type { ApiServer } from '../apiServer.ts'
import type { ApiContext } from '../context.ts'
import { jsonAnswer, openProblemAnswers, problemAnswers } from '../contract/answers.ts'
import { readRequestHeaders } from '../contract/headers.ts'
import { noQuery } from '../contract/paging.ts'
import { alive, readinessQuery, ready, stats, statsQuery } from '../contract/service.ts'
import type { Metrics } from '../metrics.ts'
import { ProblemError } from '../problem.ts'
import { failingChecks, type Readiness, type ReadinessCheck } from '../readiness.ts'
import { readVisible } from '../visibility.ts'

export interface ServiceParts {
  readonly metrics: Metrics
  readonly readiness: Readiness
  /** As of `guardRoutes`. */
  readonly loopbackOnly: boolean
}

export function serviceRoutes(app: ApiServer, context: ApiContext, parts: ServiceParts): void {
  const { metrics, readiness, loopbackOnly } = parts
  app.get(
    '/v1/stats',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'getStats',
        summary: 'Operations by pipeline, state, track and status, and how fresh the read model is',
        description: 'From the read model, in time that does not depend on how many operations there are.',
        tags: ['queries'],
        headers: readRequestHeaders,
        querystring: statsQuery,
        response: { 200: jsonAnswer('The counts.', stats), ...problemAnswers(410) },
      },
    },
    async (request, reply) => {
      const { query, headers } = request
      const read = await readVisible(context, query, headers, () =>
        context.reads.run(ownerOf(request), () => context.readModel.stats()),
      )
      // Asked for afterwards: never the older of the two.
      const { head, ...unread } = await context.knownHead.read(read.position)
      const position = context.tokens.encode(read.position)
      reply.header('waybill-position', position)
      return sendJson(
        reply,
        200,
        JSON.stringify({
          pipelines: read.value.pipelines,
          position,
          head: context.tokens.encode(head),
          ...unread,
          lagMs: context.projector.lagMs(),
          parked: read.value.parked,
        }),
      )
    },
  )

  app.get(
    '/livez',
    {
      config: { access: 'open' },
      schema: {
        operationId: 'getLiveness',
        summary: 'The process runs; depends on nothing else',
        description: 'For a container platform: restart the process when this fails.',
        tags: ['service'],
        querystring: noQuery,
        response: { 200: jsonAnswer('Alive.', alive), ...openProblemAnswers() },
      },
    },
    (_request, reply) => sendJson(reply, 200, '{"status":"alive"}'),
  )

  app.get(
    '/readyz',
    {
      config: { access: 'open' },
      schema: {
        operationId: 'getReadiness',
        summary: 'The log and the read model answer, and the service is not shutting down',
        description: 'For a load balancer: send no requests while this is 503.',
        tags: ['service'],
        querystring: readinessQuery,
        response: { 200: jsonAnswer('Ready.', ready), ...openProblemAnswers() },
      },
    },
    async (request, reply) => {
      const checks = await readiness.check()
      const isReader = isKnownReader(context.access, request.raw.headers, loopbackOnly)
      const shown = request.query.verbose === undefined ? {} : { checks: isReader ? checks : checks.map(withoutDetail) }
      const failing = failingChecks(checks).map((check) => check.name)
      if (failing.length > 0) {
        const detail = `Not ready: ${failing.join(', ')}.`
        throw new ProblemError({ code: 'not_ready', detail, retryAfterS: 1, ...shown })
      }
      return sendJson(reply, 200, JSON.stringify({ status: 'ready', ...shown }))
    },
  )

  app.get(
    '/metrics',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'getMetrics',
        summary: 'Metrics for Prometheus',
        description: 'Text format of Prometheus; docs/monitoring has a dashboard and alert rules.',
        tags: ['service'],
        querystring: noQuery,
        response: {
          200: { description: 'The metrics.', content: { 'text/plain': { schema: z.string() } } },
          ...problemAnswers(),
        },
      },
    },
    async (_request, reply) => reply.header('content-type', metrics.contentType).send(await metrics.text()),
  )
}

/** For strangers: the route is open, and what is wrong with a store is no business of theirs. */
function withoutDetail({ detail: _detail, ...check }: ReadinessCheck): Omit<ReadinessCheck, 'detail'> {
  return check
}
