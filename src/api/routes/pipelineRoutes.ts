import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { PipelineRecord } from '../../commands/commandService.ts'
import { pipelineStream } from '../../operation/streamName.ts'
import { callerOf, ownerOf } from '../accessControl.ts'
import { sendJson } from '../answer.ts'
import type { ApiServer } from '../apiServer.ts'
import { requirePipeline } from '../binding.ts'
import { commandHeaders } from '../commandHeaders.ts'
import type { ApiContext } from '../context.ts'
import { jsonAnswer, problemAnswers } from '../contract/answers.ts'
import { commandRequestHeaders, pipelineRequestHeaders, readRequestHeaders } from '../contract/headers.ts'
import { noQuery, pageSizeDefault } from '../contract/paging.ts'
import {
  definedPipeline,
  definitionBody,
  pipeline,
  pipelineList,
  pipelineListQuery,
  pipelineParams,
  pipelineVersionParams,
} from '../contract/pipelines.ts'
import { entityTag, isKnown, knownRevisions, taggedHeaders } from '../entityTags.ts'
import { noPipeline, noPipelineVersion } from '../notFound.ts'
import { listPipelines } from '../pipelinePage.ts'
import { PipelineQuota } from '../pipelineQuota.ts'
import { failureProblem, ProblemError, refusalProblem } from '../problem.ts'
import { sinceExpected } from '../submission.ts'
import { documentOnly } from '../validation.ts'
import { readVisible } from '../visibility.ts'

export function pipelineRoutes(app: ApiServer, context: ApiContext): void {
  definitionRoute(app, context)
  listRoute(app, context)

  const found = {
    200: jsonAnswer('The pipeline.', pipeline),
    304: z.null().meta({ description: 'Still at a revision of `If-None-Match`.' }),
    ...problemAnswers(404),
  }
  app.get(
    '/v1/pipelines/:name',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'getPipeline',
        summary: "A pipeline's newest version",
        description: 'The newest version. Asks the log, so a definition that was answered is found on every node.',
        tags: ['pipelines'],
        headers: pipelineRequestHeaders,
        params: pipelineParams,
        querystring: noQuery,
        response: found,
      },
    },
    async (request, reply) => {
      return sendPipeline(context, await findPipeline(context, request.params.name), request, reply)
    },
  )

  app.get(
    '/v1/pipelines/:name/versions/:version',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'getPipelineVersion',
        summary: 'One version of a pipeline',
        description: 'A version never changes once it is defined.',
        tags: ['pipelines'],
        headers: pipelineRequestHeaders,
        params: pipelineVersionParams,
        querystring: noQuery,
        response: found,
      },
    },
    async (request, reply) => {
      const { name, version } = request.params
      return sendPipeline(context, await findPipeline(context, name, version), request, reply)
    },
  )
}

function definitionRoute(app: ApiServer, context: ApiContext): void {
  const quota = new PipelineQuota(context)
  app.put(
    '/v1/pipelines/:name',
    {
      config: { access: 'definer' },
      schema: {
        operationId: 'definePipeline',
        summary: 'Define a pipeline, or a new version of it',
        description:
          'In force on every node once answered. Operations keep the version they were opened with. Once there are ' +
          '10,000 pipelines, one more is 413 `too_large`.',
        tags: ['pipelines'],
        headers: commandRequestHeaders,
        params: pipelineParams,
        querystring: noQuery,
        // The domain checks a definition, and points at what is wrong with it.
        body: documentOnly(definitionBody),
        response: {
          200: jsonAnswer('A new version, or `unchanged`.', definedPipeline),
          201: jsonAnswer('The first version.', definedPipeline),
          ...problemAnswers(409, 412, 413, 415, 422),
        },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const caller = callerOf(request)
      requirePipeline(caller, name)
      const headers = commandHeaders(request.headers)
      const sent = { name, definition: request.body, actor: caller.name, ...headers }
      const result = await context.commands.definePipeline({ ...sent, admit: () => quota.admit(sent) })
      switch (result.kind) {
        case 'invalid':
          throw new ProblemError({
            code: 'invalid',
            detail: 'The definition is not valid.',
            errors: result.errors.map(({ pointer, detail }) => ({ in: 'body', pointer, detail })),
            command: result.key,
          })
        case 'refused':
          throw new ProblemError({
            ...refusalProblem(result.refusal, undefined, result.key),
            ...(await sinceExpected(
              context,
              pipelineStream(name),
              { code: result.refusal.code, revision: headers.expectedRevision },
              { caller, reply },
            )),
          })
        case 'failed':
          throw new ProblemError(failureProblem(result.failure, undefined, result.key, 'pipeline'))
        default: {
          const { record } = result
          const { version } = record.pipeline
          const first = result.kind === 'defined' && version === 1
          if (record.revision !== null) reply.header('etag', entityTag(record.revision))
          if (first) reply.header('location', `/v1/pipelines/${name}`)
          const text = definedText(context, record, result.kind, result.key)
          context.answers.track(reply.raw, ownerOf(request), text)
          return sendJson(reply, first ? 201 : 200, text)
        }
      }
    },
  )
}

function listRoute(app: ApiServer, context: ApiContext): void {
  const { pageSizeMax } = context.limits
  app.get(
    '/v1/pipelines',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listPipelines',
        summary: 'The newest versions of all pipelines, by name',
        description:
          'Without the built-in `any`. From the read model: use `minPosition` to see a definition that was just made.',
        tags: ['pipelines'],
        headers: readRequestHeaders,
        querystring: pipelineListQuery(pageSizeMax),
        response: { 200: jsonAnswer('A page.', pipelineList), ...problemAnswers(410) },
      },
    },
    async (request, reply) => {
      const { pageSize = Math.min(pageSizeDefault, pageSizeMax), pageToken } = request.query
      const read = await readVisible(context, request.query, request.headers, () =>
        context.reads.run(ownerOf(request), () => listPipelines(context, pageSize, pageToken)),
      )
      reply.header('waybill-position', context.tokens.encode(read.position))
      return sendJson(reply, 200, read.text)
    },
  )
}

async function findPipeline(context: ApiContext, name: string, version?: number): Promise<PipelineRecord> {
  const record = await context.commands.pipeline(name, version)
  if (record !== null) return record
  const newest = version === undefined ? null : await context.commands.pipeline(name)
  if (version === undefined || newest === null) throw noPipeline(name)
  throw noPipelineVersion(name, version, newest.pipeline.version)
}

function sendPipeline(
  context: ApiContext,
  record: PipelineRecord,
  { headers }: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const { revision, position } = record
  reply.header('waybill-position', context.tokens.encode(position))
  if (revision !== null) reply.headers(taggedHeaders(revision))
  if (isKnown(knownRevisions(headers), revision)) return reply.code(304).send()
  return sendJson(reply, 200, pipelineText(record))
}

function pipelineText({ pipeline: { name, version, definition }, definedAt }: PipelineRecord): string {
  return JSON.stringify({ name, version, definition, definedAt })
}

function definedText(
  context: ApiContext,
  record: PipelineRecord,
  outcome: 'defined' | 'unchanged',
  key: string,
): string {
  const { pipeline: defined, definedAt, revision, position } = record
  return JSON.stringify({
    name: defined.name,
    version: defined.version,
    outcome,
    command: key,
    definition: defined.definition,
    definedAt,
    revision: revision === null ? null : Number(revision),
    position: context.tokens.encode(position),
  })
}
