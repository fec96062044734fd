import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { NodeProcess } from '../../nodes/support/nodeProcess.ts'
import { MemoryWatch } from './memoryWatch.ts'

const request = 'GET /v1/operations?idPrefix=large-&pageSize=100 HTTP/1.1\r\nHost: localhost\r\n\r\n'
const clients = 20
const requestsEach = 20

/** Clients that ask for pages of 10 MB, many at once on each connection, and read nothing of them. */
export async function unreadAnswers(
  node: NodeProcess,
  short: boolean,
  memoryMibMax: number,
  progress: (line: string) => void,
): Promise<readonly string[]> {
  const faults: string[] = []
  const memory = new MemoryWatch(node.pid)
  const port = Number(new URL(node.url).port)
  const sockets: Socket[] = []
  for (let n = 0; n < clients; n += 1) {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.on('error', () => undefined)
    socket.pause()
    socket.write(request.repeat(requestsEach))
    sockets.push(socket)
  }
  let slowestMs = 0
  const endMs = performance.now() + (short ? 3_000 : 60_000)
  while (performance.now() < endMs && node.isRunning) {
    const beganMs = performance.now()
    const answer = await node.http.post(
      '/v1/operations/unread-probe/reports',
      { service: 'probe', status: 'busy', pipeline: 'any' },
      { 'idempotency-key': `unread-${beganMs}` },
    )
    slowestMs = Math.max(slowestMs, performance.now() - beganMs)
    if (answer.status >= 300 && answer.status !== 503) faults.push(`unread answers: a report was told ${answer.status}`)
    await delay(50)
  }
  for (const socket of sockets) socket.destroy()
  const { firstMib, mostMib } = memory.stop()
  progress(
    `${clients * requestsEach} unread pages of 10 MB: memory ${firstMib} to ${mostMib} MiB, slowest report ${Math.round(slowestMs)} ms`,
  )
  if (mostMib > memoryMibMax) faults.push(`unread answers: the service took ${mostMib} MiB`)
  return faults
}
