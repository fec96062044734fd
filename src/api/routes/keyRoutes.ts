import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { ChangeOrigin, KeyRefusal } from '../../access/access.ts'
import { addressOf, callerOf } from '../accessControl.ts'
import { sendJson } from '../answer.ts'
import type { ApiServer } from '../apiServer.ts'
import type { ApiContext } from '../context.ts'
import { jsonAnswer, problemAnswers } from '../contract/answers.ts'
import { createdKey, keyList, keyListQuery, keyParams, newKey } from '../contract/keys.ts'
import { noQuery, pageSizeDefault } from '../contract/paging.ts'
import { noKey } from '../notFound.ts'
import { decodedPlace } from '../operationPage.ts'
import { encodePageToken } from '../pageToken.ts'
import { type Problem, ProblemError } from '../problem.ts'
import { originOf } from '../recordedActs.ts'

export function keyRoutes(app: ApiServer, context: ApiContext): void {
  const { access } = context
  app.post(
    '/v1/keys',
    {
      config: { access: 'operator', act: 'keys.create' },
      schema: {
        operationId: 'createKey',
        summary: 'Make a key',
        description:
          'In force on this node at once, on others within two seconds. The answer is the only place that shows the ' +
          'key: when it is lost, revoke the key and make another. The first key ever must be an operator; it can be ' +
          'made without one on the machine the service runs on. A key with `services` or `pipelines` is bound to them: what ' +
          'it sends of others is 403, whatever its roles.',
        tags: ['keys'],
        querystring: noQuery,
        body: newKey,
        response: { 201: jsonAnswer('Made.', createdKey), ...problemAnswers(409, 413, 415) },
      },
    },
    async (request, reply) => {
      const result = await access.create(request.body, callerOf(request), changeOrigin(request))
      if (result.kind === 'refused') throw new ProblemError(keyProblem(result.refusal))
      return sendJson(reply, 201, JSON.stringify({ ...result.record, key: result.key }))
    },
  )

  listRoute(app, context)

  app.delete(
    '/v1/keys/:name',
    {
      config: { access: 'operator', act: 'keys.revoke' },
      schema: {
        operationId: 'revokeKey',
        summary: 'Revoke a key',
        description:
          'In force on this node at once, on others that reach the database within two seconds. The name can be given ' +
          "again. The last operator's key stays, unless the key of the service's configuration revokes it.",
        tags: ['keys'],
        params: keyParams,
        querystring: noQuery,
        response: { 204: z.null().meta({ description: 'Revoked.' }), ...problemAnswers(404, 409) },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const result = await access.revoke(name, callerOf(request), changeOrigin(request))
      if (result.kind === 'not_found') throw noKey(name)
      if (result.kind === 'refused') throw new ProblemError(keyProblem(result.refusal))
      return reply.code(204).send()
    },
  )
}

function changeOrigin(request: FastifyRequest): ChangeOrigin {
  return { address: addressOf(request), ...originOf(request) }
}

const listFilter = 'keys'

function listRoute(app: ApiServer, { access, limits: { pageSizeMax } }: ApiContext): void {
  app.get(
    '/v1/keys',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'listKeys',
        summary: 'Keys in force, by name; the keys themselves are shown nowhere',
        description: 'By name. A key itself is shown once, when it is made.',
        tags: ['keys'],
        querystring: keyListQuery(pageSizeMax),
        response: { 200: jsonAnswer('A page.', keyList), ...problemAnswers() },
      },
    },
    async (request, reply) => {
      const { pageSize = Math.min(pageSizeDefault, pageSizeMax), pageToken } = request.query
      const [after = ''] = pageToken === undefined ? [] : decodedPlace(pageToken, listFilter, 1)
      const records = (await access.list()).filter(({ name }) => name > after)
      const keys = records.slice(0, pageSize)
      const last = keys.at(-1)
      const nextPageToken =
        records.length > keys.length && last !== undefined ? encodePageToken([last.name], listFilter) : ''
      return sendJson(reply, 200, JSON.stringify({ keys, nextPageToken }))
    },
  )
}

function keyProblem(refusal: KeyRefusal): Problem {
  switch (refusal) {
    case 'name_taken':
      return { code: 'key_exists', detail: 'A key of this name is in force. Revoke it first, or take another name.' }
    case 'full':
      return { code: 'keys_full', detail: 'There are as many keys as the service takes. Revoke some first.' }
    case 'operator_needed':
      return {
        code: 'operator_needed',
        detail: "Keys are managed with an operator's key: the first must be one, and the last stays.",
      }
    case 'caller_unknown':
      return { code: 'unauthorised', detail: 'By now this takes a key that is in force.' }
    default:
      return refusal satisfies never
  }
}
