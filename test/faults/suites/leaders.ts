import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createRandom } from '../../../src/demo/random.ts'
import type { EventLog } from '../../../src/eventlog/eventLog.ts'
import { openEventStoreLog } from '../../../src/eventlog/eventstoredb/eventStoreLog.ts'
import { until } from '../../nodes/support/until.ts'
import { type Call, isWrite } from '../history/call.ts'
import { checkHistory, type Verdict } from '../history/checkHistory.ts'
import { faultText } from '../history/faults.ts'
import { readReadModel } from '../history/readModelRows.ts'
import { rebuildReadModel } from '../history/rebuild.ts'
import { readLog } from '../history/recordedLog.ts'
import { FileRecorder, monotonicUs } from '../history/recorder.ts'
import { markdownTable, type Suite, type SuiteContext, type SuiteReport } from '../suite.ts'
import { ClientLoad } from '../support/clientLoad.ts'
import { EventStoreCluster } from '../support/eventStoreCluster.ts'
import { caughtUp } from '../support/judge.ts'
import { SupervisedNode } from '../support/supervisedNode.ts'
import { SupervisedPostgres } from '../support/supervisedPostgres.ts'

const nodeCount = 2
const patienceMs = 60_000
const rounds = { short: 2, long: 10 }

/** EventStoreDB says of no append that it will never land: what was unknown to a caller stays so. */
function unbounded(call: Call): Call {
  return isWrite(call) && call.answer.kind === 'unknown'
    ? { ...call, answer: { ...call.answer, settled: false } }
    : call
}

/** One leader that was killed. */
interface Loss {
  /** From the kill until the first event was appended for a command that was sent after it; null: not in time. */
  readonly firstMs: number | null
  /** From the kill until through every node of Waybill a write was accepted. */
  readonly everywhereMs: number | null
}

export const leaders: Suite = {
  name: 'leaders',
  description: 'kill -9 of the leader of an EventStoreDB cluster of three (WAYBILL_EVENTSTORE_CLUSTER), under load',
  async run(context) {
    const folder = join(context.scratch, 'leaders')
    await mkdir(folder, { mode: 0o711 })
    const cluster = await EventStoreCluster.start(folder)
    const postgresFolder = join(folder, 'postgres')
    await mkdir(postgresFolder, { mode: 0o711 })
    const postgres = await SupervisedPostgres.start(postgresFolder)
    try {
      return await runOn(context, cluster, postgres)
    } finally {
      await postgres.stop()
      cluster.stop()
    }
  },
}

async function runOn(
  context: SuiteContext,
  cluster: EventStoreCluster,
  postgres: SupervisedPostgres,
): Promise<SuiteReport> {
  const environment = { DATABASE_URL: postgres.connectionString, EVENTSTORE_URL: cluster.connectionString }
  const nodes: SupervisedNode[] = []
  for (let n = 1; n <= nodeCount; n += 1) {
    const node = await SupervisedNode.start(context.service, `node ${n}`, environment)
    await node.ready(patienceMs)
    nodes.push(node)
  }
  const urls = nodes.map(({ url }) => url)
  const random = createRandom(context.seed).fork('leaders')
  const load = await ClientLoad.start({ urls, random })
  const losses: Loss[] = []
  const count = context.rounds ?? (context.short ? rounds.short : rounds.long)
  try {
    for (let round = 1; round <= count; round += 1) {
      const loss = await load.while(loseLeader(cluster, load, urls))
      losses.push(loss)
      context.progress(
        `leader ${round} of ${count}: a write after ${loss.firstMs} ms, through every node after ${loss.everywhereMs} ms; ${load.watch.accepted} accepted`,
      )
    }
  } finally {
    await load.finish()
  }
  await Promise.all(urls.map((url) => caughtUp(url, patienceMs)))
  await Promise.all(nodes.map((node) => node.stop()))
  const verdict = await judge(cluster.connectionString, postgres.connectionString, load.calls)
  if (context.keep || verdict.total > 0) await keepHistory(context.results, load.calls)
  return report(losses, verdict, load.calls)
}

async function loseLeader(cluster: EventStoreCluster, load: ClientLoad, urls: readonly string[]): Promise<Loss> {
  await load.watch.more(200, 10_000)
  const position = lastPosition(load.calls)
  await cluster.killLeader()
  const killedUs = monotonicUs()
  const afterMs = (us: number | null) => (us === null ? null : Math.round((us - killedUs) / 1_000))
  const all = await Promise.all(urls.map((url) => load.watch.firstAfter(killedUs, url, patienceMs)))
  // Some of what was answered by then was a receipt that needed no append.
  let first: number | undefined
  await until('an event was appended', patienceMs, () => {
    const appended = load.calls.filter((call) => call.startUs >= killedUs && positionOf(call) > position)
    first = appended.length === 0 ? undefined : Math.min(...appended.map(({ endUs }) => endUs))
    return first !== undefined
  }).catch(() => undefined)
  await cluster.whole()
  const slowest = all.includes(null) ? null : Math.max(...all.map((us) => us ?? 0))
  return { firstMs: afterMs(first ?? null), everywhereMs: afterMs(slowest) }
}

function positionOf(call: Call): bigint {
  return isWrite(call) && call.answer.kind === 'accepted' ? BigInt(call.answer.position) : -1n
}

function lastPosition(calls: readonly Call[]): bigint {
  return calls.reduce((last, call) => (positionOf(call) > last ? positionOf(call) : last), -1n)
}

async function judge(eventStoreUrl: string, databaseUrl: string, calls: readonly Call[]): Promise<Verdict> {
  const open = (): Promise<EventLog> => openEventStoreLog({ connectionString: eventStoreUrl })
  const log = await open()
  const recorded = await readLog(log)
  await log.close()
  const readModel = await readReadModel(databaseUrl)
  await rebuildReadModel(databaseUrl, undefined, open)
  return checkHistory({
    calls: calls.map(unbounded),
    log: recorded,
    readModel,
    rebuilt: await readReadModel(databaseUrl),
  })
}

async function keepHistory(folder: string, calls: readonly Call[]): Promise<void> {
  const recorder = new FileRecorder(folder, 'leaders')
  for (const call of calls) recorder.record(call)
  await recorder.close()
}

function report(losses: readonly Loss[], verdict: Verdict, calls: readonly Call[]): SuiteReport {
  const faults = verdict.faults.map(faultText)
  for (const { firstMs } of losses) {
    if (firstMs === null) faults.push(`no write was accepted within ${patienceMs} ms after the leader was killed`)
  }
  // What a caller was told at first; each was sent again until it was answered for good.
  const told: Record<string, number> = {}
  for (const call of calls) if (isWrite(call)) told[call.answer.kind] = (told[call.answer.kind] ?? 0) + 1
  const firsts = losses.map(({ firstMs }) => firstMs ?? Number.POSITIVE_INFINITY).sort((one, other) => one - other)
  const figures = { losses, told, lost: verdict.counts.lost_write ?? 0, faults: verdict.total, ...verdict.figures }
  const markdown = markdownTable(
    [
      'leaders killed',
      'commands',
      'events',
      'told at first',
      'first write again: median ms',
      'most ms',
      'lost',
      'faults',
    ],
    [
      [
        losses.length,
        verdict.figures.commands,
        verdict.figures.events,
        Object.entries(told)
          .map(([kind, times]) => `${kind} ${times}`)
          .join(', '),
        firsts[firsts.length >> 1] ?? '-',
        firsts.at(-1) ?? '-',
        figures.lost,
        verdict.total,
      ],
    ],
  )
  return { faults, figures, markdown }
}
