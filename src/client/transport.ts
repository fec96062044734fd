import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { Clock } from './clock.ts'
import type { Failure, Outcome } from './errors.ts'

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT'
  /** Path and query. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly timeoutMs: number
  /** True: the time runs anew with every chunk of the answer, and stands still while nobody waits for one. */
  readonly timeoutPerChunk?: boolean
  readonly signal?: AbortSignal | undefined
}

/** An answer whose headers are here. */
export interface OpenAnswer {
  readonly status: number
  /** By its name in lower case; null when it is not there. */
  header(name: string): string | null
  /** The next bytes; null at the end. Rejects with the signal's reason, only. */
  next(): Promise<Outcome<Uint8Array | null>>
  /** Lets go of the connection, wherever the answer stands. */
  close(): void
}

export interface Transport {
  /** Sends once. Rejects with the signal's reason when it is aborted; any other end is a value. */
  open(request: HttpRequest): Promise<Outcome<OpenAnswer>>
  /** Ends the connections that are kept: now, or when the last request under way is over. */
  close(): void
}

export interface TransportOptions {
  /** Without a slash at its end. */
  readonly baseUrl: string
  readonly headers: Readonly<Record<string, string>>
  readonly clock: Clock
}

/** A connection that never came to be carried no command. */
const neverConnected = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])

/** On `node:http` and not `fetch`, which costs four times the processor time for a small request (docs/client.md). */
export function createTransport({ baseUrl, headers, clock }: TransportOptions): Transport {
  const secure = baseUrl.startsWith('https:')
  const agent = secure ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true })
  const send = secure ? httpsRequest : httpRequest
  let underWay = 0
  let closed = false

  async function open(request: HttpRequest): Promise<Outcome<OpenAnswer>> {
    const { method, body, signal, timeoutMs, timeoutPerChunk = false } = request
    signal?.throwIfAborted()
    let timedOut = false
    let released = false
    const sent = send(baseUrl + request.path, {
      agent,
      method,
      headers: {
        ...headers,
        ...request.headers,
        ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
      },
    })
    const arm = () =>
      clock.after(timeoutMs, () => {
        timedOut = true
        sent.destroy()
      })
    const aborted = () => {
      sent.destroy()
    }
    signal?.addEventListener('abort', aborted, { once: true })
    let disarm = arm()
    underWay += 1
    const release = () => {
      if (released) return
      released = true
      disarm()
      signal?.removeEventListener('abort', aborted)
      underWay -= 1
      if (closed && underWay === 0) agent.destroy()
    }
    const failed = (error: unknown): Failure => {
      release()
      signal?.throwIfAborted()
      return timedOut ? unanswered(`no answer within ${timeoutMs} ms`, error) : unanswered(detailOf(error), error)
    }

    let answer: IncomingMessage
    try {
      answer = await new Promise((resolve, reject) => {
        // Stays for the request's whole life: what breaks later is told by the answer as well.
        sent.on('error', reject)
        sent.on('response', resolve)
        sent.end(body)
      })
    } catch (error) {
      return failed(error)
    }
    if (timeoutPerChunk) disarm()
    const chunks = answer.iterator({ destroyOnReturn: false })

    const next = async (): Promise<Outcome<Uint8Array | null>> => {
      if (released) return { kind: 'answer', value: null }
      if (timeoutPerChunk) disarm = arm()
      try {
        const { done, value } = await chunks.next()
        if (timeoutPerChunk) disarm()
        if (done !== true) return { kind: 'answer', value }
        release()
        return { kind: 'answer', value: null }
      } catch (error) {
        return failed(error)
      }
    }
    const close = () => {
      if (released) return
      release()
      // The connection goes with it: what is left of the answer would have to be read to keep it.
      answer.on('error', () => undefined)
      sent.destroy()
    }
    const header = (name: string) => {
      const value = answer.headers[name]
      return typeof value === 'string' ? value : null
    }
    return { kind: 'answer', value: { status: answer.statusCode ?? 0, header, next, close } }
  }

  return {
    open,
    close() {
      closed = true
      if (underWay === 0) agent.destroy()
    },
  }
}

export function unanswered(detail: string, cause?: unknown): Failure {
  const mayHaveLanded = !neverConnected.has(codeOf(cause))
  return { kind: 'unanswered', detail, cause, mayHaveLanded, mayRetry: true, retryAfterMs: null }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

function detailOf(error: unknown): string {
  const message = error instanceof Error && error.message !== '' ? error.message : codeOf(error)
  return `the connection failed: ${message}`
}
