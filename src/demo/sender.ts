import { createWaybillClient, type Receipt, WaybillProblem } from '../client/client.ts'
import { createHttpClient, HangUpError } from './httpClient.ts'
import { isObject, type Json } from './json.ts'
import { type Answer, isDefinite } from './ledger.ts'
import type { PlannedCommand } from './plan.ts'
import type { ServiceAddress } from './serviceAddress.ts'
import type { Tally } from './tally.ts'

/** How a service sends: as it should, and as it should not. */
export interface Sender {
  /** Through the client: close calls share a request, retries keep their key. Rejects when no definite answer came. */
  send(operation: string, command: PlannedCommand): Promise<Answer>
  /** By hand: once, in a request of its own, beside what the client may have under way. Null: the outcome is unknown. */
  sendByHand(operation: string, command: PlannedCommand, hangUpAfterMs?: number): Promise<Answer | null>
  close(): void
}

/** A service that gets no definite answer for so long gives up, and the run with it. */
const patience = { attemptsMax: 60, timeoutMs: 120_000, backOffMsMax: 1_000 }

export function createSender(waybill: ServiceAddress, tally: Tally): Sender {
  const onRetry = () => {
    tally.retries += 1
  }
  const client = createWaybillClient({ ...waybill, ...patience, onRetry })
  const hand = createHttpClient(waybill)

  async function timed<T>(call: Promise<T>): Promise<T> {
    const startedAt = performance.now()
    tally.sendings += 1
    const answer = await call
    tally.writeLatency.add(performance.now() - startedAt)
    return answer
  }

  return {
    async send(operation, { kind, key, body }) {
      const call = kind === 'open' ? client.open(body, { key }) : client.report(operation, body, { key })
      try {
        return receiptAnswer(await timed(call))
      } catch (error) {
        if (!(error instanceof WaybillProblem) || error.mayHaveLanded) throw error
        const answer = problemAnswer(error)
        if (!isDefinite(answer)) throw error
        return answer
      }
    },

    async sendByHand(operation, { kind, key, body }, hangUpAfterMs) {
      const path = kind === 'open' ? '/v1/operations' : `/v1/operations/${operation}/reports`
      const headers = { 'content-type': 'application/json', 'idempotency-key': key }
      const call = { method: 'POST', path, headers, body: JSON.stringify(body) } as const
      try {
        const answer = await timed(hand.call(hangUpAfterMs === undefined ? call : { ...call, hangUpAfterMs }))
        return readAnswer(answer.status, answer.text)
      } catch (error) {
        if (error instanceof HangUpError) tally.hangUps += 1
        return null
      }
    },

    close() {
      void client.close()
      hand.close()
    },
  }
}

function receiptAnswer({ outcome, reason, revision, position }: Receipt): Answer {
  return { httpStatus: 200, outcome, reason: reason ?? null, revision, position, code: null }
}

function problemAnswer({ status, code, revision }: WaybillProblem): Answer {
  return { httpStatus: status, outcome: null, reason: null, revision: revision ?? null, position: null, code }
}

function readAnswer(httpStatus: number, text: string): Answer {
  let body: Json = null
  try {
    body = JSON.parse(text)
  } catch {
    // An answer that is no JSON has neither outcome nor code: the proof counts it as a fault.
  }
  const answer = isObject(body) ? body : {}
  return {
    httpStatus,
    outcome: typeof answer.outcome === 'string' ? answer.outcome : null,
    reason: typeof answer.reason === 'string' ? answer.reason : null,
    revision: typeof answer.revision === 'number' ? answer.revision : null,
    position: typeof answer.position === 'string' ? answer.position : null,
    code: typeof answer.code === 'string' ? answer.code : null,
  }
}
