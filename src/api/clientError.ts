import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { parserProblem, problemHeaders, problemStatus, problemText } from './problem.ts'

/** Answers what Node's HTTP parser refused, and closes: there is no request, so nothing of Fastify's can be used. */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const problem = parserProblem(error.code)
  const status = problemStatus(problem)
  const text = problemText(problem, '/')
  const headers = { ...problemHeaders(problem), 'content-length': String(Buffer.byteLength(text)), connection: 'close' }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${text}`)
}
