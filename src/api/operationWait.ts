import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { isJsonObject } from '../operation/json.ts'
import { isKeyKnown, ownerOf, requireKeyKnown } from './accessControl.ts'
import type { ApiContext } from './context.ts'
import { knownRevisions } from './entityTags.ts'
import type { Live } from './live/live.ts'
import type { SeenOperation } from './live/operationWaits.ts'
import { findOperation, type OperationAnswer, type OperationQuestion } from './operationAnswer.ts'
import { ProblemError } from './problem.ts'
import { visible, waitMs, waitMsAskedFor } from './visibility.ts'

export interface OperationWaitRequest {
  readonly id: string
  readonly until: 'changed' | 'done'
  readonly question: OperationQuestion
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

/**
 * The operation once it is as asked for, or as it is when the time is up, the service shuts down, or the caller has gone.
 * One that is not there is waited for as well, if the caller says how long. Nothing is asked of the database meanwhile: the
 * log's own subscription tells of the operation's events, whichever node wrote them. Throws ProblemError.
 */
export function awaitOperation(
  context: ApiContext,
  live: Live,
  { id, until, question, request, reply }: OperationWaitRequest,
): Promise<OperationAnswer> {
  const { headers } = request
  const untilMs = performance.now() + waitMs(context, headers)
  const owner = ownerOf(request)
  const isAllowed = () => isKeyKnown(context.access, headers.authorization)
  return live.wait(id, { owner, isAllowed }, async (wait, lookTo) => {
    const onClose = () => wait.end()
    reply.raw.once('close', onClose)
    try {
      // What was told before the wait began may not be in the read model yet, and nobody tells it again.
      const isVisible = await visible(context, lookTo, untilMs - performance.now(), headers)
      const seen = isVisible ? question : { ...question, consistency: 'strong' as const }
      const look = (asked: OperationQuestion) => live.look(owner, () => findOperation(context, id, asked, headers))
      const mayComeYet = waitMsAskedFor(context, headers) !== null
      const found = mayComeYet ? await unlessNotThere(look(seen)) : await look(seen)
      const known = newestKnown(headers) ?? found?.revision ?? beforeAnyRevision
      const enough =
        until === 'done'
          ? ({ active }: SeenOperation) => !active
          : ({ changedRevision }: SeenOperation) => changedRevision > known
      const active = found !== null && until === 'done' && isActive(found.text)
      if (found !== null && enough({ ...found, active })) return found
      await wait.until((seen) => enough(seen), untilMs - performance.now())
      requireKeyKnown(context.access, headers.authorization)
      const { latest } = wait
      if (latest !== null && latest.revision > (found?.revision ?? beforeAnyRevision)) return latest
      if (found !== null) return found
      // Where the caller has gone, nobody hears it.
      if (context.draining.aborted || reply.raw.destroyed) throw shutsDown()
      // That nothing was told may be due to the read model, and what was accepted is never 404.
      return await look({ ...question, consistency: 'strong' })
    } finally {
      reply.raw.off('close', onClose)
    }
  })
}

const beforeAnyRevision = -1n

async function unlessNotThere(look: Promise<OperationAnswer>): Promise<OperationAnswer | null> {
  try {
    return await look
  } catch (error) {
    if (error instanceof ProblemError && error.problem.code === 'not_found') return null
    throw error
  }
}

/** The time is not up: another node, or this one once it is back, resumes the wait. */
function shutsDown(): ProblemError {
  return new ProblemError({ code: 'overloaded', detail: 'The service shuts down. Ask again.', retryAfterS: 1 })
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
