import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import type { ServiceAddress } from './serviceAddress.ts'

export interface HttpAnswer {
  readonly status: number
  readonly text: string
}

export interface HttpCall {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Hang up this many milliseconds after the request was sent: the call then rejects with HangUpError. */
  readonly hangUpAfterMs?: number
}

export class HangUpError extends Error {
  override readonly name = 'HangUpError'
}

/** Bare HTTP, beside `waybill/client`: for what a client must not do, and for the bytes of an answer as they came. */
export interface HttpClient {
  /** Rejects when no answer came: a lost connection, or none within 30 s. */
  call(call: HttpCall): Promise<HttpAnswer>
  close(): void
}

const answerTimeoutMs = 30_000

export function createHttpClient({ baseUrl, apiKey }: ServiceAddress): HttpClient {
  const agent = new Agent({ keepAlive: true })
  const base = new URL(baseUrl)
  const key = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }
  return {
    call: ({ method, path, headers, body, hangUpAfterMs }) =>
      new Promise((resolve, reject) => {
        const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
        const options = { agent, method, headers: { ...key, ...headers, ...length }, timeout: answerTimeoutMs }
        const sent: ClientRequest = request(new URL(path, base), options, (answer) => {
          collect(answer).then(resolve, reject)
        })
        sent.on('error', reject)
        sent.on('timeout', () => sent.destroy(new Error(`no answer within ${answerTimeoutMs} ms`)))
        if (hangUpAfterMs !== undefined) {
          sent.once('finish', () => setTimeout(() => sent.destroy(new HangUpError('hung up')), hangUpAfterMs))
        }
        sent.end(body)
      }),
    close: () => agent.destroy(),
  }
}

async function collect(answer: IncomingMessage): Promise<HttpAnswer> {
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(chunk)
  return { status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }
}
