import { actorOf } from '../accessControl.ts'
import { sendJson } from '../answer.ts'
import type { ApiServer } from '../apiServer.ts'
import type { ApiContext } from '../context.ts'
import { jsonAnswer, problemAnswers } from '../contract/answers.ts'
import { noQuery } from '../contract/paging.ts'
import {
  noBody,
  projection,
  projectionList,
  projectionParams,
  rebuild,
  rebuildParams,
} from '../contract/projections.ts'
import { noProjection, noRebuild } from '../notFound.ts'
import { ProblemError } from '../problem.ts'
import { projectionText, rebuildBody } from '../projectionText.ts'

/** How the read model is made, and what operators may do about it. Any node takes it; the one that projects does it. */
export function projectionRoutes(app: ApiServer, context: ApiContext): void {
  queryRoutes(app, context)
  pauseRoutes(app, context)
  rebuildRoutes(app, context)
}

/** Throws ProblemError: there is one projection for now. */
export function requireProjection({ control }: ApiContext, name: string): void {
  if (name === control.name) return
  throw noProjection(name)
}

function queryRoutes(app: ApiServer, context: ApiContext): void {
  app.get(
    '/v1/projections',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listProjections',
        summary: 'All projections, and how each stands',
        description: 'The projector, its position and its lag, as the node that answers knows them.',
        tags: ['projections'],
        querystring: noQuery,
        response: { 200: jsonAnswer('All of them.', projectionList), ...problemAnswers() },
      },
    },
    async (_request, reply) => sendJson(reply, 200, `{"projections":[${await projectionText(context)}]}`),
  )

  app.get(
    '/v1/projections/:name',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'getProjection',
        summary: 'How a projection stands',
        description: 'Its position, its lag, who projects, and the last rebuild that was asked for.',
        tags: ['projections'],
        params: projectionParams,
        querystring: noQuery,
        response: { 200: jsonAnswer('The projection.', projection), ...problemAnswers(404) },
      },
    },
    async (request, reply) => {
      requireProjection(context, request.params.name)
      return sendJson(reply, 200, await projectionText(context))
    },
  )
}

function pauseRoutes(app: ApiServer, context: ApiContext): void {
  const { control } = context
  const schema = {
    tags: ['projections'],
    params: projectionParams,
    querystring: noQuery,
    body: noBody,
    response: {
      200: jsonAnswer('As it stands now.', projection),
      ...problemAnswers(404, 413, 415),
    },
  }
  app.post(
    '/v1/projections/:name/pause',
    {
      config: { access: 'operator', act: 'projections.pause' },
      schema: {
        ...schema,
        operationId: 'pauseProjection',
        summary: 'Fold nothing more, on any node, until resumed',
        description:
          'In force once answered, whatever dies later. Commands and reads go on; what is read is as of then. Repeating ' +
          'it changes nothing.',
      },
    },
    async (request, reply) => {
      requireProjection(context, request.params.name)
      return sendJson(reply, 200, await projectionText(context, await control.pause(actorOf(request))))
    },
  )

  app.post(
    '/v1/projections/:name/resume',
    {
      config: { access: 'operator', act: 'projections.resume' },
      schema: {
        ...schema,
        operationId: 'resumeProjection',
        summary: 'Go on after a pause',
        description: 'Within a second. Repeating it changes nothing.',
      },
    },
    async (request, reply) => {
      requireProjection(context, request.params.name)
      return sendJson(reply, 200, await projectionText(context, await control.resume()))
    },
  )
}

function rebuildRoutes(app: ApiServer, context: ApiContext): void {
  const { control } = context
  app.post(
    '/v1/projections/:name/rebuild',
    {
      config: { access: 'operator', act: 'projections.rebuild' },
      schema: {
        operationId: 'rebuildProjection',
        summary: 'Fold the whole log anew',
        description:
          'Begun within a second by the node that projects, and begun anew by another one should that node end. Reads see ' +
          'the rows as they were until it is done. One at a time: 409 `rebuild_under_way`. While paused: 409 ' +
          '`projection_paused`.',
        tags: ['projections'],
        params: projectionParams,
        querystring: noQuery,
        body: noBody,
        response: {
          202: jsonAnswer('Asked for. Ask `/v1/projections/{name}/rebuilds/{id}` how far it is.', rebuild),
          ...problemAnswers(404, 409, 413, 415),
        },
      },
    },
    async (request, reply) => {
      requireProjection(context, request.params.name)
      const asked = await control.askRebuild(actorOf(request))
      if (asked.kind === 'paused') {
        const detail = 'The projection is paused: resume it first.'
        throw new ProblemError({ code: 'projection_paused', detail })
      }
      if (asked.kind === 'under_way') {
        const detail = `The rebuild ${asked.rebuild.id} has not ended yet.`
        throw new ProblemError({ code: 'rebuild_under_way', detail })
      }
      return sendJson(reply, 202, JSON.stringify(rebuildBody(context, asked.rebuild)))
    },
  )

  app.get(
    '/v1/projections/:name/rebuilds/:id',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'getRebuild',
        summary: 'How far a rebuild is',
        description: 'Its stage and its position; ended ones stay to be asked for.',
        tags: ['projections'],
        params: rebuildParams,
        querystring: noQuery,
        response: { 200: jsonAnswer('The rebuild.', rebuild), ...problemAnswers(404) },
      },
    },
    async (request, reply) => {
      const { name, id } = request.params
      requireProjection(context, name)
      const found = await control.rebuild(id)
      if (found === null) throw noRebuild(name, id)
      return sendJson(reply, 200, JSON.stringify(rebuildBody(context, found)))
    },
  )
}
