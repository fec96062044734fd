import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { isJsonObject } from '../operation/json.ts'
import type { ApiContext } from './context.ts'
import { knownRevisions } from './entityTags.ts'
import type { Live } from './live/live.ts'
import type { SeenOperation } from './live/operationWaits.ts'
import { findOperation, type OperationAnswer, type OperationQuestion } from './operationAnswer.ts'
import { visible, waitMs } from './visibility.ts'

export interface OperationWaitRequest {
  readonly id: string
  readonly until: 'changed' | 'done'
  readonly question: OperationQuestion
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

/**
 * The operation once it is as asked for, or as it is when the time is up, the service shuts down, or the caller has gone.
 * Nothing is asked of the database meanwhile: the log's own subscription tells of the operation's events, whichever node
 * wrote them. Throws ProblemError.
 */
export function awaitOperation(
  context: ApiContext,
  live: Live,
  { id, until, question, request, reply }: OperationWaitRequest,
): Promise<OperationAnswer> {
  const { headers } = request
  const untilMs = performance.now() + waitMs(context, headers)
  return live.wait(id, async (wait, lookTo) => {
    const onClose = () => wait.end()
    reply.raw.once('close', onClose)
    try {
      // What was told before the wait began may not be in the read model yet, and nobody tells it again.
      const isVisible = await visible(context, lookTo, untilMs - performance.now())
      const seen = isVisible ? question : { ...question, consistency: 'strong' as const }
      const found = await live.look(() => findOperation(context, id, seen, headers))
      const known = newestKnown(headers) ?? found.revision
      const enough =
        until === 'done' ? ({ active }: SeenOperation) => !active : ({ revision }: SeenOperation) => revision > known
      const active = until === 'done' && isActive(found.text)
      if (enough({ ...found, active })) return found
      await wait.until((seen) => enough(seen), untilMs - performance.now())
      const { latest } = wait
      return latest !== null && latest.revision > found.revision ? latest : found
    } finally {
      reply.raw.off('close', onClose)
    }
  })
}

/** The newest revision that the caller says it has; null when it names none. */
function newestKnown(headers: IncomingHttpHeaders): bigint | null {
  const known = knownRevisions(headers)
  if (known === 'any') return null
  return known.reduce<bigint | null>((newest, one) => (newest === null || one > newest ? one : newest), null)
}

function isActive(text: string): boolean {
  const body: unknown = JSON.parse(text)
  return isJsonObject(body) && body.state === 'active'
}
