import type { IncomingMessage, ServerResponse } from 'node:http'

/** How long the rest of a request is read after its answer. */
export const lingerMs = 2_000

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

/** For an answer that ends before a long request does: so often is looked whether it still moves. */
const looksMax = 3

/**
 * The same where both may be long, for a client that reads nothing before it has sent all it has: it must come to its
 * answer. The connection is ended when nothing has moved on it for `quietMsMax`, and when the request has gone on for three
 * times as long after what it is answered was known.
 */
export function lingerWhileMoving(request: IncomingMessage, response: ServerResponse, quietMsMax: number): void {
  const { socket } = request
  const moved = () => socket.bytesRead + socket.bytesWritten - socket.writableLength
  const isRead = () => request.complete || request.readableEnded || request.destroyed
  const isOver = () => isRead() && (response.writableFinished || response.destroyed)
  let seen = moved()
  let looks = 0
  const watch = setInterval(() => {
    const now = moved()
    looks += 1
    // Not the request: once it is complete, that would leave the connection open.
    if (now === seen || (!isRead() && looks === looksMax)) socket.destroy()
    seen = now
  }, quietMsMax)
  watch.unref()
  const onChange = () => {
    if (isOver()) clearInterval(watch)
  }
  request.once('end', onChange).once('close', onChange)
  response.once('finish', onChange).once('close', onChange)
  onChange()
  request.resume()
}

export function hasBody(request: IncomingMessage): boolean {
  const { headers } = request
  const length = headers['content-length']
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}
