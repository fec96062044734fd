import type { Server } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { ApiServer } from './apiServer.ts'

/** Longer than a client that is at work thinks between two requests, on a busy machine too. */
const leaveMsMax = 1_000
/** From the last answered command on, connections have so long to end by themselves. */
const closeMsMax = 5_000
const pollMs = 20

/**
 * To be awaited between the abort of `draining` and the end of commands. Requests go on being served; each answer on a
 * connection that its client keeps is then its last and says so (`Connection: close`), so that no client meets the closed
 * end of a connection with a request in hand. Settles when all connections have left, or after a moment.
 */
export async function letConnectionsLeave({ server }: ApiServer): Promise<void> {
  const deadline = performance.now() + leaveMsMax
  while (performance.now() < deadline && (await openConnections(server)) > 0) await delay(pollMs)
}

/** Takes no more connections, and settles when those that are open have ended: in order, or after a bound cut off. */
export async function closeServer(app: ApiServer): Promise<void> {
  // Node closes those that are idle once, at the beginning; a request under way leaves its connection idle later.
  const sweep = setInterval(() => app.server.closeIdleConnections(), pollMs)
  // A request that trickles in, or an answer nobody reads, must not hold the shutdown up.
  const late = setTimeout(() => app.server.closeAllConnections(), closeMsMax)
  try {
    await app.close()
  } finally {
    clearInterval(sweep)
    clearTimeout(late)
  }
}

function openConnections(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.getConnections((error, count) => resolve(error === null ? count : 0))
  })
}
