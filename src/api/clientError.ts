import { type IncomingMessage, ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { type Problem, parserProblem, problemHeaders, problemLine, problemStatus } from './problem.ts'

/**
 * Answers what Node's HTTP parser refused, and closes: there is no request, so nothing of Fastify's can be used. Sound
 * requests that came before on the connection get their own answers first: this one in their place would be taken for theirs.
 */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const answer = answerUnderWay(socket)
  if (answer === null || (!answer.req.complete && !answer.headersSent)) refuse(parserProblem(error.code), socket)
  else if (answer.req.complete) answer.once('close', () => answerClientError(error, socket))
  else socket.destroy()
}

function refuse(problem: Problem, socket: Socket): void {
  const status = problemStatus(problem)
  const text = problemLine(problem, '/')
  const headers = { ...problemHeaders(problem), 'content-length': String(Buffer.byteLength(text)), connection: 'close' }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${text}`)
}

/** The answer that has the connection now. Node keeps it there, and its own handler of such errors looks at it as well. */
function answerUnderWay(socket: Socket): ServerResponse | null {
  const answer: unknown = '_httpMessage' in socket ? socket._httpMessage : null
  return answer instanceof ServerResponse ? answer : null
}

const unknownExpectation: Problem = {
  code: 'invalid',
  detail: 'The only expectation that is known here is 100-continue.',
}

/** Another `Expect` than 100-continue: Node's own answer to it, 417, has no body. */
export function answerExpectation(request: IncomingMessage, response: ServerResponse): void {
  const [path = '/'] = request.url?.split('?', 1) ?? []
  response.writeHead(problemStatus(unknownExpectation), { ...problemHeaders(unknownExpectation), connection: 'close' })
  response.end(problemLine(unknownExpectation, path))
}
