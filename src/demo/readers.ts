import { setTimeout as delay } from 'node:timers/promises'
import { createHttpClient } from './httpClient.ts'
import { isObject, type Json, textOf } from './json.ts'
import type { OperationRecord } from './ledger.ts'
import type { Findings } from './proof/findings.ts'
import type { Random } from './random.ts'
import type { Tally } from './tally.ts'

export interface ReadersOptions {
  readonly baseUrl: string
  readonly count: number
  readonly pipelines: readonly [string, ...string[]]
  /** Operations that are open and have an acknowledged revision. */
  readonly records: () => readonly OperationRecord[]
  readonly random: Random
  readonly tally: Tally
  readonly findings: Findings
}

export interface Readers {
  stop(): Promise<void>
}

/** People and dashboards that read while services write: by id, lists, counts. What they see is part of the proof. */
export function startReaders(options: ReadersOptions): Readers {
  let open = true
  const readers = Array.from({ length: options.count }, (_, index) =>
    runReader(options, options.random.fork(`reader ${index}`), () => open),
  )
  return {
    stop: async () => {
      open = false
      await Promise.all(readers)
    },
  }
}

async function runReader(options: ReadersOptions, random: Random, open: () => boolean): Promise<void> {
  const client = createHttpClient(options.baseUrl, 1)
  const { findings, tally } = options
  const get = async (path: string): Promise<Json> => {
    const startedAt = performance.now()
    findings.looked('reads')
    try {
      const answer = await client.call({ method: 'GET', path })
      tally.reads += 1
      tally.readLatency.add(performance.now() - startedAt)
      if (answer.status === 200) return JSON.parse(answer.text)
      findings.fault('reads', path, `${answer.status} ${answer.text.slice(0, 200)}`)
    } catch (error) {
      findings.fault('reads', path, String(error))
    }
    return null
  }
  try {
    while (open()) {
      await delay(random.exponential(15))
      const records = options.records()
      const record = records[Math.floor(random.next() * records.length)]
      const draw = random.next()
      if (record !== undefined && draw < 0.7) await readOperation(record, draw < 0.1, get, findings)
      else if (draw < 0.85) await get(listPath(random.pick(options.pipelines), random))
      else await get('/v1/stats')
    }
  } finally {
    client.close()
  }
}

async function readOperation(
  record: OperationRecord,
  strong: boolean,
  get: (path: string) => Promise<Json>,
  findings: Findings,
): Promise<void> {
  const acknowledged = record.acknowledged
  const body = await get(`/v1/operations/${record.plan.id}${strong ? '?consistency=strong' : ''}`)
  // One node answers: its memory holds what it acknowledged, so not even a plain read may step back.
  if (isObject(body) && Number(body.revision) < acknowledged) {
    findings.fault(
      'reads',
      record.plan.id,
      `read revision ${textOf(body.revision)} after ${acknowledged} was acknowledged`,
    )
  }
}

function listPath(pipeline: string, random: Random): string {
  const filters = ['track=main&status=enriched', 'state=active', 'state=succeeded&sort=-openedAt', 'sort=id'] as const
  return `/v1/operations?pipeline=${pipeline}&pageSize=20&${random.pick(filters)}`
}
