import { Readable } from 'node:stream'
import { actorOf, isAllowed } from '../accessControl.ts'
import type { ApiServer } from '../apiServer.ts'
import { createBulkPace } from '../bulk/bulkPace.ts'
import { type BulkRoom, bulkResults } from '../bulk/bulkResults.ts'
import { createBulkShare } from '../bulk/bulkShare.ts'
import { createBulkTurns } from '../bulk/bulkTurns.ts'
import { traceparentOf } from '../commandHeaders.ts'
import type { ApiContext } from '../context.ts'
import { problemAnswers } from '../contract/answers.ts'
import { commandLine, resultLine } from '../contract/commands.ts'
import { bulkRequestHeaders } from '../contract/headers.ts'
import { noQuery } from '../contract/paging.ts'
import { lingerAfterAnswer } from '../lingeringClose.ts'
import { ndjson } from '../mediaTypes.ts'
import { documentOnly } from '../validation.ts'

/** How many bytes of results wait for a slow reader before no more lines are read. */
const answerBufferBytes = 1024 * 1024

export function bulkRoute(app: ApiServer, context: ApiContext): void {
  const room: BulkRoom = {
    share: createBulkShare(context.limits),
    pace: createBulkPace(context),
    turns: createBulkTurns(),
  }
  app.post(
    '/v1/commands',
    {
      config: { access: 'service' },
      schema: {
        operationId: 'sendCommands',
        summary: 'Many commands, a line each; their results, a line each, in order',
        description:
          'Streamed both ways with back-pressure: read results while you send. A bad line fails alone, blank ones are ' +
          'passed over. Lines of one operation are carried out in their order; when the outcome of one is open (503), ' +
          'the later ones are 424 `not_tried`. A line without a result (the answer ended early) was not tried, or its ' +
          'outcome is not known: send it again with the same key. Once the access key is revoked, the next line is 401 ' +
          'and the answer ends.',
        tags: ['commands'],
        headers: bulkRequestHeaders,
        querystring: noQuery,
        consumes: [ndjson],
        // Each line is checked by itself.
        body: documentOnly(commandLine),
        response: {
          200: { description: 'A line for each line.', content: { [ndjson]: { schema: resultLine } } },
          ...problemAnswers(415),
        },
      },
    },
    (request, reply) => {
      const { authorization } = request.headers
      const results = bulkResults(context, room, request.raw, {
        actor: actorOf(request),
        traceparent: traceparentOf(request.headers),
        isAllowed: () => isAllowed(context.access, authorization, 'service'),
      })
      lingerAfterAnswer(request.raw, reply.raw)
      return reply
        .header('content-type', `${ndjson}; charset=utf-8`)
        .send(Readable.from(results, { objectMode: false, highWaterMark: answerBufferBytes }))
    },
  )
}
