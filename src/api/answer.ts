import type { FastifyReply } from 'fastify'

/** Sends JSON that is text already: nothing is serialised or checked on the way out. */
export function sendJson(reply: FastifyReply, status: number, text: string): FastifyReply {
  return sendJsonLine(reply, status, `${text}\n`)
}

/** The same for text that ends in a newline, as every answer does: a terminal's prompt follows on a line of its own. */
export function sendJsonLine(reply: FastifyReply, status: number, line: string): FastifyReply {
  return reply.code(status).header('content-type', 'application/json; charset=utf-8').send(line)
}
