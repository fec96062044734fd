import type { IncomingMessage, ServerResponse } from 'node:http'

/** How long the rest of a request is read after its answer. */
const lingerMs = 2_000

/**
 * For an answer given before its request was read to the end. Closing at once would reset the connection, and the answer
 * would be lost with it; reading on for ever would let a client send without end. So the rest is read, for a while.
 */
export function lingerAfterAnswer(request: IncomingMessage, response: ServerResponse): void {
  response.once('finish', () => {
    if (request.complete || request.readableEnded) return
    const timer = setTimeout(() => request.destroy(), lingerMs)
    const over = () => clearTimeout(timer)
    request.once('end', over).once('close', over)
    request.resume()
  })
}

export function hasBody(request: IncomingMessage): boolean {
  const { headers } = request
  const length = headers['content-length']
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}
