import { setTimeout as delay } from 'node:timers/promises'
import { BrokenConnectionError, type HttpAnswer, type WaybillHttp } from './waybillHttp.ts'
import type { Receipt } from './wholeLog.ts'

/** What one command came to. */
export interface SentCommand {
  readonly operation: string
  readonly key: string
  readonly body: Readonly<Record<string, unknown>>
  /** The definite answer. */
  readonly answer: HttpAnswer
  /** Null: refused, or ignored without a record. */
  readonly receipt: Receipt | null
}

/** Documented answers after which the same command is sent again. */
const retried = new Set(['contention', 'log_unavailable', 'outcome_unknown', 'overloaded'])
const attemptsMax = 200

/** Sends one report until its answer is definite, always under the same key. Fails on an answer nobody documented. */
export async function sendUntilDefinite(
  http: WaybillHttp,
  operation: string,
  key: string,
  body: Readonly<Record<string, unknown>>,
): Promise<SentCommand> {
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    const answer = await sendOnce(http, operation, key, body)
    if (answer !== null) {
      if (answer.status < 500) return { operation, key, body, answer, receipt: receiptOf(answer) }
      const code = answer.body.code
      if (answer.status !== 503 || typeof code !== 'string' || !retried.has(code) || answer.body.command !== key) {
        throw new Error(`${operation} ${key}: ${answer.status} ${answer.text}`)
      }
    }
    // With jitter, as any client should.
    await delay(10 + Math.random() * 40)
  }
  throw new Error(`${operation} ${key}: no definite answer in ${attemptsMax} attempts`)
}

/** Null when the connection broke: the node was killed. */
async function sendOnce(
  http: WaybillHttp,
  operation: string,
  key: string,
  body: Readonly<Record<string, unknown>>,
): Promise<HttpAnswer | null> {
  try {
    return await http.post(`/v1/operations/${operation}/reports`, body, { 'idempotency-key': key })
  } catch (error) {
    if (error instanceof BrokenConnectionError) return null
    throw error
  }
}

/** What GET answers; sent again when the node behind it was killed, or had lost its database for a moment and said so. */
export async function readThrough(
  http: WaybillHttp,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<HttpAnswer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const answer = await http.get(path, headers)
      const { code } = answer.body
      if (answer.status !== 503 || (code !== 'log_unavailable' && code !== 'read_model_unavailable')) return answer
    } catch (error) {
      if (!(error instanceof BrokenConnectionError)) throw error
    }
    if (attempt >= attemptsMax) throw new Error(`${path}: no answer in ${attemptsMax} attempts`)
    await delay(10)
  }
}

export function receiptOf({ status, body }: HttpAnswer): Receipt | null {
  const { operation, command, outcome, revision, position } = body
  if (status !== 200 && status !== 201) return null
  if (typeof operation !== 'string' || typeof command !== 'string' || typeof outcome !== 'string') return null
  if (typeof revision !== 'number' || typeof position !== 'string') return null
  return { operation, command, outcome, revision, position }
}
