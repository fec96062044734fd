/** One message of a live stream: its id is the position a reader resumes after. `data` is JSON text. */
export function sseMessage(id: string, event: string, data: string): string {
  // Within JSON a line break can only stand between tokens, where a space means the same.
  const line = data.includes('\n') || data.includes('\r') ? data.replace(/[\r\n]/g, ' ') : data
  return `id: ${id}\nevent: ${event}\ndata: ${line}\n\n`
}

/** Moves the place to resume from and tells nothing else: a block without data is no message (HTML, "server-sent events"). */
export function ssePlace(id: string): string {
  return `id: ${id}\n\n`
}

/** Written when nothing else is, so that neither side nor a proxy between takes the other for dead. */
export function sseHeartbeat(id: string): string {
  return `: heartbeat\nid: ${id}\n\n`
}

const retryMsMin = 1_000
const retryMsSpread = 2_000

/** Spread, so that streams that ended together do not come back together. */
export function sseRetry(random: number): string {
  return `retry: ${retryMsMin + Math.floor(random * retryMsSpread)}\n`
}

export function sseFarewell(random: number): string {
  return `: the service ends this stream; come back with Last-Event-ID\n${sseRetry(random)}\n`
}
