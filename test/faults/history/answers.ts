import { isJsonObject, type JsonObject } from '../../../src/operation/json.ts'
import type { HttpAnswer } from '../../nodes/support/waybillHttp.ts'
import type { NotTaken, SeenOperation, Unexpected, WriteAnswer } from './call.ts'
import { operationDigest } from './operationDigest.ts'
import { positionOfToken } from './recordedLog.ts'

/** Problem codes that promise that nothing was written. */
const notTaken: ReadonlySet<string> = new Set([
  'overloaded',
  'contention',
  'log_unavailable',
  'not_tried',
  'rate_limited',
  'not_ready',
])

/** What an answer to a command says, of a request or of a line of a bulk request. */
export function writeAnswer(status: number, body: JsonObject, problem: JsonObject): WriteAnswer {
  if (status === 200 || status === 201) {
    const { outcome, reason, revision, position } = body
    if (typeof outcome === 'string' && typeof revision === 'number' && typeof position === 'string') {
      return {
        kind: 'accepted',
        outcome,
        ...(typeof reason === 'string' ? { reason } : {}),
        created: status === 201,
        revision: String(revision),
        position: String(positionOfToken(position)),
      }
    }
    return unexpected(status, body)
  }
  const { code, revision } = problem
  if (typeof code !== 'string') return unexpected(status, problem)
  if (code === 'outcome_unknown') return { kind: 'unknown', settled: true }
  if (notTaken.has(code)) return { kind: 'notTaken', code }
  if (status >= 500) return unexpected(status, problem)
  return { kind: 'refused', code, ...(typeof revision === 'number' ? { revision: String(revision) } : {}) }
}

/** Null: the answer is what was asked for. */
export function readFailure({ status, body, text }: HttpAnswer): NotTaken | Unexpected | null {
  if (status === 200) return null
  const { code } = body
  if (status === 503 && typeof code === 'string' && unreadable.has(code)) return { kind: 'notTaken', code }
  return { kind: 'unexpected', status, text: text.slice(0, 500) }
}

const unreadable: ReadonlySet<string> = new Set([
  'log_unavailable',
  'read_model_unavailable',
  'not_yet_visible',
  'overloaded',
  'not_ready',
])

function unexpected(status: number, body: JsonObject): Unexpected {
  return { kind: 'unexpected', status, text: JSON.stringify(body).slice(0, 500) }
}

/** Throws when it is no operation. */
export function seenOperation(body: unknown): SeenOperation {
  if (!isJsonObject(body)) throw new Error('an operation is an object')
  const { id, revision, position, parked } = body
  if (typeof id !== 'string' || typeof revision !== 'number' || typeof position !== 'string') {
    throw new Error('an operation has an id, a revision and a position')
  }
  return {
    operation: id,
    revision: String(revision),
    position: String(positionOfToken(position)),
    digest: operationDigest(body),
    ...(parked === undefined ? {} : { parked: true }),
  }
}
