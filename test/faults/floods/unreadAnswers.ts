import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { NodeProcess } from '../../nodes/support/nodeProcess.ts'
import { MemoryWatch } from './memoryWatch.ts'

/** What is asked for again and again, and never read. */
interface Unread {
  readonly what: string
  readonly request: string
  readonly clients: number
  readonly requestsEach: number
}

const body = '{"service":"flood","status":"unread"}'
const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`

export const unreadKinds: readonly Unread[] = [
  {
    what: 'pages of 10 MB',
    request: get('/v1/operations?idPrefix=large-&pageSize=100'),
    clients: 20,
    requestsEach: 20,
  },
  // Anybody may ask for these, with a key or without.
  {
    what: 'files of the documentation',
    request: get('/docs/static/swagger-ui-bundle.js'),
    clients: 200,
    requestsEach: 50,
  },
  { what: 'OpenAPI documents', request: get('/openapi.json'), clients: 200, requestsEach: 50 },
  {
    what: 'refusals that list what happened since',
    request:
      'POST /v1/operations/large-0/reports HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n' +
      `If-Match: "0"\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    clients: 200,
    requestsEach: 50,
  },
]

/** Clients that ask for large answers, many at once on each connection, and read nothing of them. */
export async function unreadAnswers(
  { what, request, clients, requestsEach }: Unread,
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
    if (answer.status >= 300 && answer.status !== 503) faults.push(`unread ${what}: a report was told ${answer.status}`)
    await delay(50)
  }
  for (const socket of sockets) socket.destroy()
  const { firstMib, mostMib } = memory.stop()
  progress(
    `${clients * requestsEach} unread ${what}: memory ${firstMib} to ${mostMib} MiB, slowest report ${Math.round(slowestMs)} ms`,
  )
  if (mostMib > memoryMibMax) faults.push(`unread ${what}: the service took ${mostMib} MiB`)
  return faults
}
