import type { IncomingMessage } from 'node:http'
import type { FairShare } from '../../runtime/fairShare.ts'
import { callerOf, isAllowed, ownerOf } from '../accessControl.ts'
import type { ApiServer } from '../apiServer.ts'
import { createUnreadResults } from '../bulk/bulkAnswer.ts'
import { createBulkPace } from '../bulk/bulkPace.ts'
import { type BulkResources, BulkRun } from '../bulk/bulkRun.ts'
import { createBulkScheduler } from '../bulk/bulkScheduler.ts'
import { BulkShare } from '../bulk/bulkShare.ts'
import { allResults, failedResults } from '../bulk/resultForm.ts'
import { traceparentOf } from '../commandHeaders.ts'
import { type ContentEncoding, contentEncodingOf, type UnpackedBody, unpackedBody } from '../contentEncoding.ts'
import type { ApiContext } from '../context.ts'
import { problemAnswers } from '../contract/answers.ts'
import { bulkQuery, commandLine, resultLine } from '../contract/commands.ts'
import { bulkRequestHeaders } from '../contract/headers.ts'
import { ndjson, ndjsonTypes } from '../mediaTypes.ts'
import { ProblemError } from '../problem.ts'
import type { RateCounts } from '../rateLimit.ts'
import { shareProblem } from '../shares.ts'
import { documentOnly } from '../validation.ts'

export function bulkRoute(app: ApiServer, context: ApiContext, rate: RateCounts): void {
  const shared: BulkResources = {
    rate,
    share: new BulkShare(context.limits),
    pace: createBulkPace(context),
    scheduler: createBulkScheduler(),
    unread: createUnreadResults(context.limits),
  }
  app.post(
    '/v1/commands',
    {
      config: { access: 'service' },
      schema: {
        operationId: 'sendCommands',
        summary: 'Many commands, a line each; their results, a line each, in order',
        description:
          'Streamed both ways with back-pressure: read results while you send. Who sends all before it reads anything is ' +
          'answered in full as long as the service has room for its results. A bad line fails alone, blank ones are ' +
          'passed over. Lines of one operation are carried out in their order; when the outcome of one is open (503), ' +
          'the later ones are 424 `not_tried`. An answer that ends before the request has a last line with `readUpTo`: the ' +
          'number of the last line that was read; what comes after it was not tried. A line up to there without a ' +
          'result, or an answer that breaks off, leaves the outcome open: send it again with the same key. Once the ' +
          'access key is revoked, the next line is 401 and the answer ends.',
        tags: ['commands'],
        headers: bulkRequestHeaders,
        querystring: bulkQuery,
        consumes: [...ndjsonTypes],
        // Each line is checked by itself.
        body: documentOnly(commandLine),
        response: {
          200: { description: 'A line for each line.', content: { [ndjson]: { schema: resultLine } } },
          ...problemAnswers(415),
        },
      },
    },
    async (request, reply) => {
      const { authorization, 'content-encoding': contentEncoding } = request.headers
      const owner = ownerOf(request)
      const share = context.shares.unpackers
      const giveWay = () => run.giveWay(shareProblem('unpackers', share, owner).problem)
      const encoding = contentEncodingOf(contentEncoding)
      const run: BulkRun = new BulkRun(context, shared, {
        request: request.raw,
        response: reply.raw,
        unpacked: unpackedOf(request.raw, encoding, { share, owner, onReclaim: giveWay }),
        form: request.query.results === 'failures' ? failedResults : allResults(context.tokens),
        sender: {
          owner,
          caller: callerOf(request),
          traceparent: traceparentOf(request.headers),
          isAllowed: () => isAllowed(context.access, authorization, 'service'),
        },
      })
      void run.run()
      const refusal = await run.begun
      if (refusal !== null) throw new ProblemError(refusal)
      reply.header('content-type', `${ndjson}; charset=utf-8`).send(run.results)
      // With results=failures the first line may be long in coming, and who waits for an answer at all gives up before.
      setImmediate(() => {
        if (!reply.raw.headersSent && reply.raw.hasHeader('content-type')) reply.raw.flushHeaders()
      })
      return reply
    },
  )
}

const unpackedChunkBytes = 64 * 1024

/** Null: it comes as it is. Throws ProblemError. `onReclaim`: another key's upload is to be unpacked in its place. */
function unpackedOf(
  request: IncomingMessage,
  encoding: ContentEncoding | null,
  { share, owner, onReclaim }: { readonly share: FairShare; readonly owner: string; readonly onReclaim: () => void },
): UnpackedBody | null {
  if (encoding === null) return null
  const lease = share.take(owner, 1, onReclaim)
  if (lease === null) throw shareProblem('unpackers', share, owner)
  return unpackedBody(request, encoding, unpackedChunkBytes).once('close', () => lease.release())
}
