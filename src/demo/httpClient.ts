import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

export interface HttpCall {
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Hang up this many milliseconds after the request was sent: the call then rejects with HangUpError. */
  readonly hangUpAfterMs?: number
}

export class HangUpError extends Error {
  override readonly name = 'HangUpError'
}

/** One client: connections of its own, kept alive. */
export interface HttpClient {
  /** Rejects when no answer came: a lost connection, or none within 30 s. */
  call(call: HttpCall): Promise<HttpAnswer>
  close(): void
}

const answerTimeoutMs = 30_000

export function createHttpClient(baseUrl: string, connectionsMax: number): HttpClient {
  const agent = new Agent({ keepAlive: true, maxSockets: connectionsMax })
  const base = new URL(baseUrl)
  return {
    call: (call) =>
      new Promise((resolve, reject) => {
        const headers: Record<string, string | number> = { ...call.headers }
        if (call.body !== undefined) {
          headers['content-type'] ??= 'application/json'
          headers['content-length'] = Buffer.byteLength(call.body)
        }
        const options = { agent, method: call.method, headers, timeout: answerTimeoutMs }
        const sent: ClientRequest = request(new URL(call.path, base), options, (answer) => {
          collect(answer).then(resolve, reject)
        })
        sent.on('error', reject)
        sent.on('timeout', () => sent.destroy(new Error(`no answer within ${answerTimeoutMs} ms`)))
        const { hangUpAfterMs } = call
        if (hangUpAfterMs !== undefined) {
          sent.once('finish', () => setTimeout(() => sent.destroy(new HangUpError('hung up')), hangUpAfterMs))
        }
        sent.end(call.body)
      }),
    close: () => agent.destroy(),
  }
}

async function collect(answer: IncomingMessage): Promise<HttpAnswer> {
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(chunk)
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(answer.headers)) if (typeof value === 'string') headers[name] = value
  return { status: answer.statusCode ?? 0, headers, text: Buffer.concat(chunks).toString('utf8') }
}
