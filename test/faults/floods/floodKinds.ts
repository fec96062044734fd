import type { FloodRequests } from './httpFlood.ts'
import { Latencies } from './latencies.ts'
import type { Ledger } from './ledger.ts'

export interface FloodKind {
  readonly name: string
  /** For the measure of what the service can take. */
  readonly connections: number
  /** For the flood. */
  readonly flooding: { readonly connections: number; readonly pipelined: number }
  /** On a machine that keeps up. Where each client waits for its answer, it is their number over what is answered a second. */
  readonly acceptedP50MsMax: number
}

export interface Flooding extends FloodRequests {
  readonly accepted: Latencies
  readonly refused: Latencies
}

export const floodKinds: readonly FloodKind[] = [
  { name: 'reports', connections: 64, flooding: { connections: 1_000, pipelined: 1 }, acceptedP50MsMax: 5_000 },
  // More than can wait their turn in a moment: what is accepted waits as long as so many take.
  {
    name: 'reports, 16,000 at once',
    connections: 64,
    flooding: { connections: 2_000, pipelined: 8 },
    acceptedP50MsMax: 10_000,
  },
  {
    name: 'reports of 100 kB',
    connections: 16,
    flooding: { connections: 500, pipelined: 1 },
    acceptedP50MsMax: 10_000,
  },
  { name: 'lists', connections: 16, flooding: { connections: 1_000, pipelined: 1 }, acceptedP50MsMax: 5_000 },
]

const operations = 5_000
const filling = 'x'.repeat(100_000)

export function requestsOf(kind: FloodKind, ledger: Ledger): Flooding {
  const accepted = new Latencies()
  const refused = new Latencies()
  const isList = kind.name === 'lists'
  const data = kind.name === 'reports of 100 kB' ? `,"data":{"text":"${filling}"}` : ''
  // Large ones go to few operations: what is in memory for each of them is not what is asked here.
  const prefix = data === '' ? 'flood' : 'large'
  const count = data === '' ? operations : 200
  return {
    accepted,
    refused,
    bytes(number) {
      if (isList)
        return `GET /v1/operations?pageSize=50&idPrefix=flood-${number % 50} HTTP/1.1\r\nHost: localhost\r\n\r\n`
      const body = `{"service":"flood","status":"s${number % 7}","pipeline":"any"${data}}`
      return `POST /v1/operations/${prefix}-${number % count}/reports HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nIdempotency-Key: flood-${number}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    },
    onAnswer(number, status, body, ms) {
      const isAccepted = status < 300
      if (isAccepted) accepted.add(ms)
      else refused.add(ms)
      if (isList) return
      if (isAccepted) ledger.accept(number, body)
      else if (body.includes('outcome_unknown')) ledger.lose(number)
      else ledger.refuse(number)
    },
    onLost(number) {
      if (!isList) ledger.lose(number)
    },
  }
}
