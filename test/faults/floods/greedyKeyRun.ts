import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { NodeProcess } from '../../nodes/support/nodeProcess.ts'
import { WaybillHttp } from '../../nodes/support/waybillHttp.ts'
import type { SuiteContext } from '../suite.ts'
import { flood } from './httpFlood.ts'
import { Latencies } from './latencies.ts'

export interface GreedyKeyRun {
  readonly faults: readonly string[]
  readonly figures: readonly GreedyKeyFigures[]
}

interface GreedyKeyFigures {
  readonly name: string
  readonly connections: number
  /** Of the other key's requests, meanwhile: by status. */
  readonly statuses: Readonly<Record<string, number>>
  readonly p50Ms: number | null
  readonly p99Ms: number | null
}

interface Greed {
  readonly name: string
  readonly connections: number
  readonly pipelined: number
  /** Method, path, headers and body of the flooding key's requests. */
  request(number: number): { readonly head: string; readonly headers?: string; readonly body?: string }
  /** What the other key asks for meanwhile. */
  readonly other: (http: WaybillHttp, number: number, headers: Headers) => Promise<{ readonly status: number }>
}

type Headers = Readonly<Record<string, string>>

const report = { service: 's', status: 'a', pipeline: 'any' }
const reportText = JSON.stringify(report)
const linesOf = (number: number) =>
  Array.from(
    { length: 500 },
    (_, line) =>
      `{"type":"ReportStatus","operation":"up-${number}-${line}","service":"s","status":"a","pipeline":"any"}\n`,
  ).join('')
const reports: Greed['other'] = (http, number, headers) =>
  http.post(`/v1/operations/other-${number}/reports`, report, headers)

const greeds: readonly Greed[] = [
  {
    name: 'reports',
    connections: 300,
    pipelined: 16,
    request: (number) => ({ head: `POST /v1/operations/greedy-${number}/reports`, body: reportText }),
    other: reports,
  },
  {
    name: 'lists',
    connections: 300,
    pipelined: 1,
    request: () => ({ head: 'GET /v1/operations?pageSize=200' }),
    other: (http, _number, headers) => http.get('/v1/operations?pageSize=10', headers),
  },
  {
    name: 'waits',
    connections: 300,
    pipelined: 1,
    request: () => ({ head: 'GET /v1/operations/other-0?until=changed', headers: 'Prefer: wait=2\r\n' }),
    other: (http, number, headers) =>
      http.get(`/v1/operations/nowhere-${number}?until=changed`, { ...headers, prefer: 'wait=0' }),
  },
  {
    name: 'uploads',
    connections: 200,
    pipelined: 1,
    request: (number) => ({
      head: 'POST /v1/commands?results=failures',
      headers: 'Content-Type: application/x-ndjson\r\n',
      body: linesOf(number),
    }),
    other: reports,
  },
]

const seconds = { short: 2, long: 20 }
const askersMax = 4
const operatorKey = `wb_${'ab'.repeat(8)}_${'a'.repeat(43)}`

/** One key holds all it can get of each limit: another key's requests are answered all the same, and none is refused. */
export async function greedyKeyRun(context: SuiteContext, folder: string): Promise<GreedyKeyRun> {
  const node = new NodeProcess(context.service, 'node with a greedy key', {
    WAYBILL_DATA_DIR: join(folder, 'data'),
    WAYBILL_LOG_LEVEL: 'warn',
    WAYBILL_OPERATOR_KEY: operatorKey,
    WAYBILL_WAITS_MAX: '200',
  })
  await node.ready(60_000)
  const http = new WaybillHttp(node.url, askersMax)
  const faults: string[] = []
  const figures: GreedyKeyFigures[] = []
  try {
    const greedy = await makeKey(http, 'greedy')
    const other = { authorization: `Bearer ${await makeKey(http, 'other')}` }
    for (let number = 0; number < 200; number += 1) await reports(http, number, other)
    for (const greed of greeds) {
      const one = await endure(greed, node, http, { greedy, other }, context.short ? seconds.short : seconds.long)
      context.progress(`one key floods ${greed.name}: ${JSON.stringify(one)}`)
      figures.push(one)
      const refused = Object.entries(one.statuses).filter(([status]) => !/^(?:2..|404)$/.test(status))
      if (refused.length > 0) faults.push(`${greed.name} of one key: another was answered ${JSON.stringify(refused)}`)
      if (one.p50Ms === null) faults.push(`${greed.name} of one key: another got no answer`)
    }
  } finally {
    http.close()
    if (node.isRunning) await node.stop()
  }
  return { faults, figures }
}

async function makeKey(http: WaybillHttp, name: string): Promise<string> {
  const roles = ['service', 'viewer']
  const made = await http.post('/v1/keys', { name, roles }, { authorization: `Bearer ${operatorKey}` })
  if (made.status !== 201) throw new Error(`a key could not be made: ${made.text}`)
  return String(made.body.key)
}

async function endure(
  greed: Greed,
  node: NodeProcess,
  http: WaybillHttp,
  keys: { readonly greedy: string; readonly other: Headers },
  duration: number,
): Promise<GreedyKeyFigures> {
  const latencies = new Latencies()
  const statuses: Record<string, number> = {}
  let ended = false
  let number = 0
  const ask = async () => {
    while (!ended) {
      number += 1
      const beganMs = performance.now()
      const { status } = await greed.other(http, number, keys.other)
      latencies.add(performance.now() - beganMs)
      statuses[status] = (statuses[status] ?? 0) + 1
      await delay(2)
    }
  }
  const flooding = flood({
    port: Number(new URL(node.url).port),
    connections: greed.connections,
    pipelined: greed.pipelined,
    perSecond: null,
    seconds: duration,
    requests: {
      bytes: (one) => {
        const { head, headers = '', body = '' } = greed.request(one)
        const type = body !== '' && headers === '' ? 'Content-Type: application/json\r\n' : headers
        const length = body === '' ? '' : `Content-Length: ${body.length}\r\n`
        return `${head} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${keys.greedy}\r\n${type}${length}\r\n${body}`
      },
      onAnswer: () => undefined,
      onLost: () => undefined,
    },
  })
  // The flood is there first.
  await delay(200)
  const asking = Promise.all(Array.from({ length: askersMax }, ask))
  await flooding
  ended = true
  await asking
  return { name: greed.name, connections: greed.connections, statuses, p50Ms: latencies.p50, p99Ms: latencies.p99 }
}
