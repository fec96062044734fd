import { setTimeout as delay } from 'node:timers/promises'
import type { Follower } from '../follower.ts'
import { createHttpClient, type HttpClient } from '../httpClient.ts'
import { isObject, type JsonObject, sameJson, textOf } from '../json.ts'
import type { OperationRecord } from '../ledger.ts'
import type { ServiceAddress } from '../serviceAddress.ts'
import { getJson, mustGet } from '../serviceApi.ts'
import { checkOperation } from './checkOperation.ts'
import type { Findings } from './findings.ts'
import type { FoldedOperation } from './foldEvents.ts'
import { type LoggedEvent, readEventPage } from './loggedEvent.ts'

export interface ProofOptions {
  readonly waybill: ServiceAddress
  readonly records: readonly OperationRecord[]
  /** Prefix of the ids of this run's operations. */
  readonly idPrefix: string
  readonly pipelines: readonly string[]
  readonly follower: Follower
  readonly findings: Findings
  /** Called after each operation. */
  readonly onChecked: () => void
}

const parallelReads = 8
const eventPageSize = 500
/** Rows hold whole documents: pages of a few megabytes. */
const listPageSize = 200
/** How long the read model may take to show what was acknowledged. */
const settleMs = 30_000

/** Reads everything back over HTTP and compares it, operation by operation, with what was sent and answered. */
export async function prove(options: ProofOptions): Promise<void> {
  const { records, findings, waybill } = options
  const client = createHttpClient(waybill)
  try {
    await waitUntilListed(client, options)
    const listed = await readList(client, options.idPrefix)
    const folded = new Map<string, FoldedOperation>()
    const pending = [...records]
    const work = async (): Promise<void> => {
      for (let record = pending.pop(); record !== undefined; record = pending.pop()) {
        const { id } = record.plan
        const byId = await getJson(client, `/v1/operations/${id}?consistency=strong`).catch(() => null)
        const events = await readEvents(client, id)
        folded.set(id, checkOperation(record, { events, byId, listed: listed.get(id) ?? null }, findings))
        options.onChecked()
      }
    }
    await Promise.all(Array.from({ length: parallelReads }, work))
    for (const id of listed.keys()) {
      if (!folded.has(id)) findings.fault('list', id, 'is listed, but nobody opened it')
    }
    await checkStats(client, options, folded)
    const revisions = new Map([...folded].map(([id, operation]) => [id, operation.revision]))
    await options.follower.finish(revisions, findings, settleMs)
  } finally {
    client.close()
  }
}

/** The read model is behind by design: give it the time to catch up with the last acknowledged revision. */
async function waitUntilListed(client: HttpClient, options: ProofOptions): Promise<void> {
  const deadline = performance.now() + settleMs
  while (performance.now() < deadline) {
    const stats = await getJson(client, '/v1/stats')
    if (stats.position === stats.head) return
    await delay(50)
  }
  // On a shared service others may go on writing: then what is listed decides, and the checks below say what is missing.
  process.stderr.write(`the read model had not caught up with the log's head after ${settleMs} ms\n`)
  if (options.records.length === 0) throw new Error('nothing was sent')
}

async function readList(client: HttpClient, idPrefix: string): Promise<ReadonlyMap<string, JsonObject>> {
  const listed = new Map<string, JsonObject>()
  let pageToken = ''
  do {
    const token = pageToken === '' ? '' : `&pageToken=${encodeURIComponent(pageToken)}`
    const page = await getJson(client, `/v1/operations?idPrefix=${idPrefix}&sort=id&pageSize=${listPageSize}${token}`)
    for (const row of Array.isArray(page.operations) ? page.operations : []) {
      if (isObject(row)) listed.set(textOf(row.id), row)
    }
    pageToken = textOf(page.nextPageToken)
  } while (pageToken !== '')
  return listed
}

async function readEvents(client: HttpClient, id: string): Promise<readonly LoggedEvent[]> {
  const events: LoggedEvent[] = []
  for (;;) {
    const path = `/v1/operations/${id}/events?fromRevision=${events.length}&pageSize=${eventPageSize}`
    const page = readEventPage(await mustGet(client, path))
    events.push(...page.events)
    if (page.events.length < eventPageSize) return events
  }
}

async function checkStats(
  client: HttpClient,
  options: ProofOptions,
  folded: ReadonlyMap<string, FoldedOperation>,
): Promise<void> {
  const { findings, records } = options
  const stats = await getJson(client, '/v1/stats')
  for (const pipeline of options.pipelines) {
    const operations = records.flatMap(({ plan }) => (plan.pipeline === pipeline ? [folded.get(plan.id)] : []))
    const expected = countUp(operations.filter((operation) => operation !== undefined))
    const found = isObject(stats.pipelines) ? stats.pipelines[pipeline] : undefined
    findings.looked('stats')
    if (!isObject(found)) {
      if (operations.length > 0) findings.fault('stats', pipeline, 'is not there')
    } else {
      for (const [member, value] of Object.entries(expected)) {
        if (sameJson(found[member], value)) continue
        findings.fault('stats', pipeline, `${member}: ${JSON.stringify(found[member])}, not ${JSON.stringify(value)}`)
      }
    }
  }
  findings.looked('stats')
  if (stats.parked !== 0) findings.fault('stats', 'parked', `${textOf(stats.parked)} streams could not be folded`)
}

function countUp(operations: readonly FoldedOperation[]): JsonObject {
  const states: Record<string, number> = {}
  const tracks: Record<string, Record<string, number>> = {}
  for (const operation of operations) {
    states[operation.state] = (states[operation.state] ?? 0) + 1
    for (const [name, { status }] of Object.entries(operation.tracks)) {
      if (status === null) continue
      const counts = tracks[name] ?? {}
      counts[status] = (counts[status] ?? 0) + 1
      tracks[name] = counts
    }
  }
  return { operations: operations.length, states, tracks }
}
