// Bulk requests in a closed loop: so many connections, each sending its next request once the last was answered.
import { reportLine, sendCommands } from './bulk.mjs'

/**
 * @param {{ party: object, connections: number, lines: number, seconds: number, operations: number, bodies: string[],
 *   keyPrefix: string }} options `lines`: commands of one request
 * @returns {Promise<{ commands: number, perSecond: number }>} those acknowledged within the time, and all
 */
export async function bulkLoop({ party, connections, lines, seconds, operations, bodies, keyPrefix }) {
  const startedMs = performance.now()
  const endMs = startedMs + seconds * 1_000
  let [sent, commands, inTime] = [0, 0, 0]
  const sender = async () => {
    while (performance.now() < endMs) {
      const batch = []
      for (; batch.length < lines; sent += 1) {
        batch.push(reportLine(`bench-${sent % operations}`, `${keyPrefix}-${sent}`, bodies[sent % bodies.length]))
      }
      const accepted = await sendCommands(party.url, batch, party.access)
      commands += accepted
      if (performance.now() <= endMs) inTime += accepted
    }
  }
  await Promise.all(Array.from({ length: connections }, sender))
  return { commands, perSecond: inTime / seconds }
}
