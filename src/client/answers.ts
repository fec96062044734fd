import type { ProblemDocument, Receipt } from './contract.ts'
import type { Failure, Outcome } from './errors.ts'
import { type HttpRequest, type OpenAnswer, type Transport, unanswered } from './transport.ts'

// What comes over the wire is looked at before it is believed: between the client and the service there may be a proxy
// with pages of its own, and an answer may end anywhere.

export interface Answer<T> {
  readonly status: number
  readonly body: T
}

/** One request, one JSON answer; null for 304. Anything but 2xx with a body that `isBody` knows is a failure. */
export async function exchange<T>(
  transport: Transport,
  request: HttpRequest,
  isBody: (value: unknown) => value is T,
): Promise<Outcome<Answer<T>>> {
  const opened = await transport.open(request)
  if (opened.kind !== 'answer') return opened
  const { status } = opened.value
  const isUnchanged = status === 304
  if (!isUnchanged && (status < 200 || status > 299)) return refusalOf(opened.value)
  const text = await textOf(opened.value)
  if (text.kind !== 'answer') return text
  // 304 has no body: it is as the caller knows it.
  const body = isUnchanged ? null : parseJson(text.value)
  if (!isBody(body)) return unanswered(`the answer (${status}) is not one of Waybill's`)
  return { kind: 'answer', value: { status, body } }
}

/** Reads an answer that is not 2xx: a problem, or what somebody on the way made of it. */
export async function refusalOf(answer: OpenAnswer): Promise<Failure> {
  const { status } = answer
  const retryAfterMs = retryAfterOf(answer.header('retry-after')?.trim() ?? '')
  const text = await textOf(answer)
  if (text.kind !== 'answer') return text
  const problem = parseJson(text.value)
  if (isProblem(problem)) return { kind: 'problem', problem, retryAfterMs }
  return {
    kind: 'unanswered',
    detail: `the answer has status ${status} and is not one of Waybill's`,
    // Something on the way may have passed the request on before it gave up.
    mayHaveLanded: status >= 500,
    mayRetry: status === 429 || status === 502 || status === 503 || status === 504,
    retryAfterMs,
  }
}

async function textOf(answer: OpenAnswer): Promise<Outcome<string>> {
  const decoder = new TextDecoder()
  let text = ''
  for (;;) {
    const chunk = await answer.next()
    if (chunk.kind !== 'answer') return chunk
    if (chunk.value === null) return { kind: 'answer', value: text + decoder.decode() }
    text += decoder.decode(chunk.value, { stream: true })
  }
}

const retryAfterMsMax = 3_600_000

/** Seconds, or a date. */
function retryAfterOf(value: string): number | null {
  if (/^\d{1,9}$/.test(value)) return Math.min(Number(value) * 1_000, retryAfterMsMax)
  const at = value === '' ? Number.NaN : Date.parse(value)
  return Number.isNaN(at) ? null : Math.min(Math.max(0, at - Date.now()), retryAfterMsMax)
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isProblem(value: unknown): value is ProblemDocument {
  return (
    isObject(value) &&
    typeof value.code === 'string' &&
    typeof value.status === 'number' &&
    typeof value.detail === 'string'
  )
}

export function isReceipt(value: unknown): value is Receipt {
  return (
    isObject(value) &&
    typeof value.operation === 'string' &&
    typeof value.command === 'string' &&
    typeof value.outcome === 'string' &&
    Number.isSafeInteger(value.revision) &&
    typeof value.position === 'string'
  )
}
