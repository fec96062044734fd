import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createRandom } from '../../../src/demo/random.ts'
import { startEmbeddedPostgres } from '../../../src/postgres/embedded.ts'
import { NodeProcess } from '../../nodes/support/nodeProcess.ts'
import { until } from '../../nodes/support/until.ts'
import { isWrite } from '../history/call.ts'
import { faultText } from '../history/faults.ts'
import { monotonicUs } from '../history/recorder.ts'
import type { SuiteContext } from '../suite.ts'
import { ClientLoad } from '../support/clientLoad.ts'
import { caughtUp, judge } from '../support/judge.ts'
import { Latencies } from './latencies.ts'
import { MemoryWatch } from './memoryWatch.ts'
import { Mob, type Nuisance, nuisances } from './nuisances.ts'

export interface NuisanceRun {
  readonly faults: readonly string[]
  readonly figures: readonly NuisanceFigures[]
}

interface NuisanceFigures {
  readonly name: string
  readonly clients: number
  readonly ended: number
  readonly statuses: Readonly<Record<string, number>>
  readonly seconds: number
  /** Of the writes of clients that behave, meanwhile. */
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  readonly memory: { readonly firstMib: number; readonly mostMib: number }
}

/** The short form does not wait half a minute for each. */
const shortTimes = { WAYBILL_HEADERS_MS_MAX: '1000', WAYBILL_BODY_MS_MAX: '2000', WAYBILL_BULK_IDLE_MS_MAX: '2000' }
/**
 * Five times the longest of those times (an upload that nobody reads is told so after one or two, and may go on for three),
 * and some more for thousands to be told, and for a connection's buffers to be filled.
 */
const cutMsMax = { short: 15_000, long: 180_000 }
const keptMs = { short: 1_000, long: 30_000 }
const calmMs = { short: 1_500, long: 10_000 }
/** Writes of others, meanwhile: whatever the machine's pace, not more than so many times what they take without. */
const slowerMax = 10
const p99MsFloor = 1_000
const memoryMibMax = 1_000

/** Clients that do what none should, kind after kind, beside some that behave and whose history is checked. */
export async function nuisanceRun(context: SuiteContext, folder: string): Promise<NuisanceRun> {
  const { short, progress } = context
  const dataDir = join(folder, 'data')
  const node = new NodeProcess(context.service, 'beset node', {
    WAYBILL_DATA_DIR: dataDir,
    WAYBILL_LOG_LEVEL: 'warn',
    WAYBILL_STREAMS_MAX: '6000',
    ...(short ? shortTimes : {}),
  })
  await node.ready(60_000)
  const load = await ClientLoad.start({
    urls: [node.url],
    random: createRandom(context.seed).fork('nuisances'),
    clients: 4,
    pauseMs: 20,
  })
  const faults: string[] = []
  const figures: NuisanceFigures[] = []
  try {
    const fromUs = monotonicUs()
    await load.while(delay(short ? calmMs.short : calmMs.long))
    const calm = writesSince(load, fromUs)
    progress(`without any nuisance: ${calm.count} writes, p50 ${calm.p50} ms, p99 ${calm.p99} ms`)
    for (const nuisance of nuisances) {
      const { one, found } = await load.while(suffer(nuisance, node, load, calm, short))
      progress(`${nuisance.name}: ${JSON.stringify(one)}`)
      figures.push(one)
      faults.push(...found)
    }
  } finally {
    await load.finish()
  }
  if (!node.isRunning) throw new Error(`the service ended: ${node.output.slice(-3_000)}`)
  await caughtUp(node.url, 30_000)
  await node.stop()
  const server = await startEmbeddedPostgres({ dataDir })
  try {
    const verdict = await judge(server.connectionString, load.calls)
    progress(`history of those who behaved: ${verdict.figures.calls} calls, ${verdict.total} faults`)
    faults.push(...verdict.faults.map((fault) => `beside nuisances: ${faultText(fault)}`))
  } finally {
    await server.stop()
  }
  return { faults, figures }
}

async function suffer(
  nuisance: Nuisance,
  node: NodeProcess,
  load: ClientLoad,
  calm: Latencies,
  short: boolean,
): Promise<{ readonly one: NuisanceFigures; readonly found: readonly string[] }> {
  const clients = short ? nuisance.count.short : nuisance.count.long
  const found: string[] = []
  const memory = new MemoryWatch(node.pid)
  const beganMs = performance.now()
  const fromUs = monotonicUs()
  const pace = () => Math.max(1, (loadavg()[0] ?? 0) / (2 * availableParallelism()))
  const mob = await Mob.gather(nuisance, clients, Number(new URL(node.url).port))
  if (nuisance.end === 'cut') {
    const timeoutMs = (short ? cutMsMax.short : cutMsMax.long) * pace()
    await until(`${nuisance.name} are ended`, timeoutMs, () => mob.open === 0).catch(() => {
      found.push(`${nuisance.name}: ${mob.open} of ${clients} were not ended within ${Math.round(timeoutMs)} ms`)
    })
  } else {
    await delay(short ? keptMs.short : keptMs.long)
  }
  const ended = mob.ended
  const seconds = Math.round((performance.now() - beganMs) / 100) / 10
  mob.disperse()
  const writes = writesSince(load, fromUs)
  const { firstMib, mostMib } = memory.stop()
  const one = {
    name: nuisance.name,
    clients,
    ended,
    statuses: mob.statuses,
    seconds,
    p50Ms: writes.p50,
    p99Ms: writes.p99,
    memory: { firstMib, mostMib },
  }
  const bound = Math.max(p99MsFloor, slowerMax * (calm.p99 ?? 0)) * pace()
  if (writes.count === 0) found.push(`${nuisance.name}: others could write nothing`)
  if ((writes.p99 ?? 0) > bound)
    found.push(`${nuisance.name}: others' writes took ${writes.p99} ms (p99), ${calm.p99} ms without`)
  if (mostMib > memoryMibMax) found.push(`${nuisance.name}: the service took ${mostMib} MiB`)
  for (const status of Object.keys(mob.statuses)) {
    if (!/^(?:2..|4..|503)$/.test(status)) found.push(`${nuisance.name}: an answer was ${status}`)
  }
  return { one, found }
}

function writesSince(load: ClientLoad, fromUs: number): Latencies {
  const latencies = new Latencies()
  for (const call of load.calls) {
    if (isWrite(call) && call.startUs >= fromUs && call.answer.kind === 'accepted')
      latencies.add((call.endUs - call.startUs) / 1_000)
  }
  return latencies
}
