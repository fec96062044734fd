import type { FastifyReply } from 'fastify'

/** Sends JSON that is text already: nothing is serialised or checked on the way out. */
export function sendJson(reply: FastifyReply, status: number, text: string): FastifyReply {
  return reply.code(status).header('content-type', 'application/json; charset=utf-8').send(text)
}
