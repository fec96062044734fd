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
  readonly headers: Headers
  /** The next bytes; null at the end. Rejects with the signal's reason, only. */
  next(): Promise<Outcome<Uint8Array | null>>
  /** Lets go of the connection, wherever the answer stands. */
  close(): void
}

export interface Transport {
  /** Sends once. Rejects with the signal's reason when it is aborted; any other end is a value. */
  open(request: HttpRequest): Promise<Outcome<OpenAnswer>>
}

export interface TransportOptions {
  readonly baseUrl: string
  readonly headers: Readonly<Record<string, string>>
  readonly fetch: typeof fetch
  readonly clock: Clock
}

/** A connection that never came to be carried no command. */
const neverConnected = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])

export function createTransport({ baseUrl, headers, fetch, clock }: TransportOptions): Transport {
  const base = baseUrl.replace(/\/+$/, '')

  async function open(request: HttpRequest): Promise<Outcome<OpenAnswer>> {
    const { signal, timeoutMs, timeoutPerChunk = false } = request
    signal?.throwIfAborted()
    const controller = new AbortController()
    let timedOut = false
    const arm = () =>
      clock.after(timeoutMs, () => {
        timedOut = true
        controller.abort()
      })
    const aborted = () => controller.abort()
    signal?.addEventListener('abort', aborted, { once: true })
    let disarm = arm()
    const release = () => {
      disarm()
      signal?.removeEventListener('abort', aborted)
    }
    const failed = (error: unknown): Failure => {
      release()
      signal?.throwIfAborted()
      return timedOut ? unanswered(`no answer within ${timeoutMs} ms`, error) : unanswered(detailOf(error), error)
    }

    let response: Response
    try {
      response = await fetch(base + request.path, {
        method: request.method,
        headers: { ...headers, ...request.headers },
        ...(request.body === undefined ? {} : { body: request.body }),
        redirect: 'manual',
        signal: controller.signal,
      })
    } catch (error) {
      return failed(error)
    }
    if (timeoutPerChunk) disarm()
    const reader = response.body?.getReader()
    let over = reader === undefined
    if (over) release()

    const next = async (): Promise<Outcome<Uint8Array | null>> => {
      if (over || reader === undefined) return { kind: 'answer', value: null }
      if (timeoutPerChunk) disarm = arm()
      try {
        const { done, value } = await reader.read()
        if (timeoutPerChunk) disarm()
        if (!done) return { kind: 'answer', value }
        over = true
        release()
        return { kind: 'answer', value: null }
      } catch (error) {
        over = true
        return failed(error)
      }
    }
    const close = () => {
      if (over) return
      over = true
      release()
      // The connection goes with it: what is left of the answer would have to be read to keep it.
      controller.abort()
    }
    return { kind: 'answer', value: { status: response.status, headers: response.headers, next, close } }
  }

  return { open }
}

export function unanswered(detail: string, cause?: unknown): Failure {
  const mayHaveLanded = !neverConnected.has(codeOf(cause))
  return { kind: 'unanswered', detail, cause, mayHaveLanded, mayRetry: true, retryAfterMs: null }
}

/** `fetch` says "fetch failed" and keeps the reason in `cause`. */
function codeOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') return at.code
  }
  return ''
}

function detailOf(error: unknown): string {
  const code = codeOf(error)
  if (code !== '') return `the connection failed: ${code}`
  return `the connection failed: ${error instanceof Error ? error.message : String(error)}`
}
