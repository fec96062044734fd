import type { Answer } from './answers.ts'
import type { FuzzRequest } from './wire.ts'

/** How long a request may take. */
export interface Pace {
  /** Milliseconds of a clock that does not jump. */
  readonly now: () => number
  readonly requestMsMax: number
  /** What the service waits at most when it is asked to, beside that. */
  readonly waitMsMax: number
}

/** So often a request must be too slow, alone, before it is taken for the reason: the machine has other things to do. */
export const slowTimesNeeded = 3

/** Whether `ms` is more than the answer to this request may take. */
export function isTooSlow(
  { requestMsMax, waitMsMax }: Pace,
  request: FuzzRequest,
  answer: Answer,
  ms: number,
): boolean {
  if (request.raw !== null || request.method === 'CONNECT') return false
  // What has no end, or waits for a body that never came.
  if (!answer.complete || answer.status === 408 || isStream(answer)) return false
  return ms > requestMsMax + (mayWait(request) ? waitMsMax : 0)
}

function isStream({ headers }: Answer): boolean {
  return headers['content-type']?.startsWith('text/event-stream') === true
}

function mayWait({ target, headers }: FuzzRequest): boolean {
  return (
    /minPosition|until|consistency/.test(target) ||
    headers.some(([name]) => ['prefer', 'expect'].includes(name.toLowerCase()))
  )
}
