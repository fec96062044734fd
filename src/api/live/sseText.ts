/**
 * One message of a live stream: its id is the position a reader resumes after. `data` is JSON text, or a token.
 *
 * The id comes last. The standard keeps it with the end of its block, but some readers keep it as soon as its line has come
 * (`eventsource` 2): cut off behind an id that came first, they would resume after a message that they never had.
 */
export function sseMessage(id: string, event: string, data: string): string {
  // Within JSON a line break can only stand between tokens, where a space means the same.
  const line = data.includes('\n') || data.includes('\r') ? data.replace(/[\r\n]/g, ' ') : data
  return `event: ${event}\ndata: ${line}\nid: ${id}\n\n`
}

/**
 * Moves the place to resume from and tells nothing else. It has data because an id without data does not move the place of
 * many readers: they look at messages alone.
 */
export function ssePosition(id: string): string {
  return sseMessage(id, 'position', id)
}

/** Written when nothing else is, so that neither side nor a proxy between takes the other for dead. */
export function sseHeartbeat(id: string): string {
  return `: heartbeat\n${ssePosition(id)}`
}

/**
 * How a stream begins: when to come back, and the place it begins after, so that one that is cut before its first message
 * resumes there. Some readers keep what they had of a message when they were cut (`eventsource` 2): the empty line behind
 * the first one ends it before anything else is added to it.
 */
export function sseBeginning(id: string | null, retryMs: number): string {
  return `retry: ${retryMs}\n\n${id === null ? '' : ssePosition(id)}`
}

export function sseFarewell(id: string | null, retryMs: number): string {
  const place = id === null ? '' : ssePosition(id)
  return `${place}: the service ends this stream; come back with Last-Event-ID\nretry: ${retryMs}\n\n`
}

/** Spread, so that streams that ended together do not come back together. `random`: from 0 to 1. */
export function spreadRetryMs(retryMs: number, random: number): number {
  return retryMs + Math.floor(random * 2 * retryMs)
}
