import type { FastifyReply, FastifyRequest } from 'fastify'
import { ownerOf } from './accessControl.ts'
import { hasBody, lingerAfterAnswer } from './lingeringClose.ts'
import { type Problem, problemHeaders, problemLine, problemStatus } from './problem.ts'
import type { UnreadAnswers } from './unreadAnswers.ts'

/** Answers with a problem document. What is left of the request's body is passed over, so that its client reads the answer. */
export function answerProblem(
  problem: Problem,
  request: FastifyRequest,
  reply: FastifyReply,
  answers: UnreadAnswers,
): FastifyReply {
  const { raw } = request
  if (problem.code === 'timeout') reply.header('connection', 'close')
  else if (hasBody(raw) && !raw.complete) lingerAfterAnswer(raw, reply.raw)
  const line = problemLine(problem, pathOf(request.url))
  // That of a read is counted as any answer to one.
  if (raw.method !== 'GET') answers.track(reply.raw, ownerOf(request), line)
  return reply.code(problemStatus(problem)).headers(problemHeaders(problem)).send(line)
}

export function pathOf(url: string): string {
  const query = url.indexOf('?')
  return query === -1 ? url : url.slice(0, query)
}
