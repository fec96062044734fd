import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import { patienceMs } from '../../support/patience.ts'

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** Parsed; null when it is no JSON. */
  readonly body: Record<string, unknown>
}

/** The connection ended before the whole answer was there. */
export class BrokenConnectionError extends Error {
  override readonly name = 'BrokenConnectionError'
  /**
   * `refused`: no connection could be made, so nothing was sent. `new`: the request was the connection's first. `kept`:
   * others had been answered on it.
   */
  readonly connection: 'refused' | 'new' | 'kept'
  /** What of the answer had come. */
  readonly received: string

  constructor(cause: Error, connection: 'refused' | 'new' | 'kept', received = '') {
    super(`${cause.message} (${connection} connection)`, { cause })
    this.connection = connection
    this.received = received
  }
}

const timeoutMs = patienceMs

/** A client with connections of its own, kept alive. Never sends anything twice by itself. */
export class WaybillHttp {
  readonly #base: URL
  readonly #agent: Agent

  constructor(base: string, connections = 1) {
    this.#base = new URL(base)
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections })
  }

  get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> {
    return this.send('GET', path, null, headers)
  }

  post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> {
    return this.send('POST', path, body, headers)
  }

  put(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> {
    return this.send('PUT', path, body, headers)
  }

  send(
    method: string,
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<HttpAnswer> {
    const text = body === null ? null : JSON.stringify(body)
    return this.sendText(method, path, text, { 'content-type': 'application/json', ...headers })
  }

  /** `text` null: no body, and no headers of one. */
  sendText(
    method: string,
    path: string,
    text: string | null,
    headers: Readonly<Record<string, string>>,
  ): Promise<HttpAnswer> {
    const { 'content-type': contentType, ...others } = headers
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          method,
          agent: this.#agent,
          host: this.#base.hostname,
          port: this.#base.port,
          path,
          timeout: timeoutMs,
          headers: {
            ...(text === null
              ? {}
              : { 'content-type': contentType, 'content-length': String(Buffer.byteLength(text)) }),
            ...others,
          },
        },
        (incoming) => {
          const chunks: Buffer[] = []
          incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
          incoming.on('error', (error) => {
            reject(new BrokenConnectionError(error, 'kept', Buffer.concat(chunks).toString()))
          })
          incoming.on('end', () => {
            const answer = Buffer.concat(chunks).toString()
            resolve({
              status: incoming.statusCode ?? 0,
              headers: incoming.headers,
              text: answer,
              body: parsed(answer),
            })
          })
        },
      )
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${timeoutMs} ms`)))
      outgoing.on('error', (error: NodeJS.ErrnoException) => {
        const fresh = error.code === 'ECONNREFUSED' ? 'refused' : 'new'
        reject(new BrokenConnectionError(error, outgoing.reusedSocket ? 'kept' : fresh))
      })
      outgoing.end(text)
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}
