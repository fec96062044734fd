import { setTimeout as delay } from 'node:timers/promises'
import { createWaybillClient, type OperationFilter, type SortOrder, type WaybillClient } from '../client/client.ts'
import type { OperationRecord } from './ledger.ts'
import type { Findings } from './proof/findings.ts'
import type { Random } from './random.ts'
import type { ServiceAddress } from './serviceAddress.ts'
import type { Tally } from './tally.ts'

export interface ReadersOptions {
  readonly waybill: ServiceAddress
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
  const { findings, tally } = options
  // One attempt: what another would cure is a fault here.
  const client = createWaybillClient({ ...options.waybill, attemptsMax: 1 })
  const read = async <T>(what: string, call: () => Promise<T>): Promise<T | null> => {
    const startedAt = performance.now()
    findings.looked('reads')
    try {
      const answer = await call()
      tally.reads += 1
      tally.readLatency.add(performance.now() - startedAt)
      return answer
    } catch (error) {
      findings.fault('reads', what, String(error))
      return null
    }
  }
  try {
    while (open()) {
      await delay(random.exponential(15))
      const records = options.records()
      const record = records[Math.floor(random.next() * records.length)]
      const draw = random.next()
      if (record !== undefined && draw < 0.7) {
        const { id } = record.plan
        const { acknowledged } = record
        const operation = await read(id, () => client.get(id, draw < 0.1 ? { consistency: 'strong' } : {}))
        // One node answers: its memory holds what it acknowledged, so not even a plain read may step back.
        if (operation !== null && operation.revision < acknowledged) {
          findings.fault('reads', id, `read revision ${operation.revision} after ${acknowledged} was acknowledged`)
        }
      } else if (draw < 0.85) {
        const pipeline = random.pick(options.pipelines)
        const { sort, ...filter } = random.pick(lists)
        await read(`the list of ${pipeline}`, () => firstPage(client, { pipeline, ...filter }, sort))
      } else {
        await read('the counts', () => client.stats())
      }
    }
  } finally {
    await client.close()
  }
}

const pageSize = 20
const lists: readonly [List, ...List[]] = [
  { track: 'main', status: 'enriched' },
  { state: 'active' },
  { state: 'succeeded', sort: '-openedAt' },
  { sort: 'id' },
]

type List = OperationFilter & { readonly sort?: SortOrder }

async function firstPage(client: WaybillClient, filter: OperationFilter, sort: SortOrder = '-updatedAt') {
  let count = 0
  for await (const _ of client.list(filter, { pageSize, sort })) {
    count += 1
    if (count === pageSize) return
  }
}
