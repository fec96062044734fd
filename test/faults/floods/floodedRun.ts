import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startEmbeddedPostgres } from '../../../src/postgres/embedded.ts'
import { NodeProcess } from '../../nodes/support/nodeProcess.ts'
import type { SuiteContext } from '../suite.ts'
import { caughtUp } from '../support/judge.ts'
import { type FloodKind, floodKinds, requestsOf } from './floodKinds.ts'
import { flood } from './httpFlood.ts'
import type { Latencies } from './latencies.ts'
import { Ledger } from './ledger.ts'
import { MemoryWatch, residentMib } from './memoryWatch.ts'
import { Probe } from './probe.ts'
import { unreadAnswers, unreadKinds } from './unreadAnswers.ts'

export interface FloodedRun {
  readonly faults: readonly string[]
  readonly figures: readonly FloodFigures[]
}

interface Spread {
  readonly p50Ms: number | null
  readonly p99Ms: number | null
}

export interface FloodFigures {
  readonly name: string
  readonly seconds: number
  /** Measured just before, as fast as answers came: the load's processor time is in it. */
  readonly capacityPerSecond: number
  readonly offeredPerSecond: number
  readonly sentPerSecond: number
  readonly acceptedPerSecond: number
  readonly statuses: Readonly<Record<string, number>>
  readonly acceptedP50Ms: number | null
  readonly acceptedP99Ms: number | null
  readonly probe: { readonly before: Spread; readonly meanwhile: Spread }
  readonly memory: { readonly firstMib: number; readonly mostMib: number; readonly growth: number }
  /** From the last request's answer to ten reports in a row that took no longer than before; null: not in time. */
  readonly backMs: number | null
}

const tenfold = 10
/** Of what it took before; the flood itself takes much of the machine. */
const acceptedShareMin = 0.1
const backMsMax = 5_000
/** Room for the queue, the bodies that arrive and the caches at their limits, and for garbage. */
const memoryMibMax = 1_400
/** From the first to the second half of a flood that lasts minutes. */
const growthMax = 1.3
/** Below this a heap that warms up says nothing. */
const grownMib = 500
const foundMax = 10
const seconds = { short: { measure: 1, calm: 1, flood: 2 }, long: { measure: 5, calm: 5, flood: 120 } }

/** A node of its own, each kind of flood one after the other; then the log is held against what was answered. */
export async function floodedRun(context: SuiteContext, folder: string): Promise<FloodedRun> {
  const { short, progress, rounds } = context
  const dataDir = join(folder, 'data')
  const node = new NodeProcess(context.service, 'flooded node', {
    WAYBILL_DATA_DIR: dataDir,
    WAYBILL_LOG_LEVEL: 'warn',
  })
  await node.ready(60_000)
  const ledger = new Ledger()
  const lasts = short ? seconds.short : seconds.long
  const run = { node, ledger, short, lasts: { ...lasts, flood: rounds ?? lasts.flood }, numbers: 0 }
  const faults: string[] = []
  const figures: FloodFigures[] = []
  for (const kind of floodKinds) {
    const { figures: one, faults: found } = await floodOnce(run, kind)
    progress(`flood of ${kind.name}: ${JSON.stringify(one)}`)
    figures.push(one)
    faults.push(...found)
  }
  await caughtUp(node.url, 60_000)
  for (const unread of unreadKinds) {
    faults.push(...(await unreadAnswers(unread, node, short, memoryMibMax, progress)))
  }
  if (!node.isRunning) throw new Error(`the service ended: ${node.output.slice(-3_000)}`)
  await caughtUp(node.url, 60_000)
  await node.stop()
  const server = await startEmbeddedPostgres({ dataDir })
  try {
    const wrong = await ledger.holdAgainst(server.connectionString)
    progress(`${ledger.accepted} acknowledged reports of floods held against the log: ${wrong.length} faults`)
    faults.push(...wrong.slice(0, foundMax))
  } finally {
    await server.stop()
  }
  return { faults, figures }
}

interface Run {
  readonly node: NodeProcess
  readonly ledger: Ledger
  readonly short: boolean
  /** Seconds. */
  readonly lasts: { readonly measure: number; readonly calm: number; readonly flood: number }
  /** Requests so far: no two have a number. */
  numbers: number
}

async function floodOnce(
  run: Run,
  kind: FloodKind,
): Promise<{ readonly figures: FloodFigures; readonly faults: readonly string[] }> {
  const { node, ledger, short, lasts } = run
  const port = Number(new URL(node.url).port)
  const calm = new Probe(node.url)
  await delay(lasts.calm * 1_000)
  const before = calm.turn()
  const measure = async (seconds: number) => {
    const asFastAsAnswered = { port, connections: kind.connections, pipelined: 1, perSecond: null, seconds }
    const { sent, seconds: took } = await flood({
      ...asFastAsAnswered,
      requests: requestsOf(kind, ledger),
      from: run.numbers,
    })
    run.numbers += sent
    return sent / took
  }
  // The first seconds are the compiler's.
  await measure(lasts.measure)
  const capacity = await measure(lasts.measure)
  const requests = requestsOf(kind, ledger)
  calm.turn()
  const memory = new MemoryWatch(node.pid)
  const totals = await flood({
    port,
    ...kind.flooding,
    perSecond: capacity * tenfold,
    seconds: lasts.flood,
    requests,
    from: run.numbers,
  })
  run.numbers += totals.sent
  const meanwhile = calm.turn()
  const load = Math.max(1, (loadavg()[0] ?? 0) / (2 * availableParallelism()))
  const soundMs = Math.max(250, 3 * (before.p99 ?? 0))
  const backMs = await calm.backWithin(soundMs, 4 * backMsMax)
  const used = memory.stop()
  await calm.stop()
  const figures: FloodFigures = {
    name: kind.name,
    seconds: lasts.flood,
    capacityPerSecond: Math.round(capacity),
    offeredPerSecond: Math.round(totals.offered / lasts.flood),
    sentPerSecond: Math.round(totals.sent / totals.seconds),
    acceptedPerSecond: Math.round(requests.accepted.count / totals.seconds),
    statuses: totals.statuses,
    acceptedP50Ms: requests.accepted.p50,
    acceptedP99Ms: requests.accepted.p99,
    probe: { before: spread(before), meanwhile: spread(meanwhile) },
    memory: used,
    backMs,
  }
  const faults: string[] = []
  const fault = (text: string) => faults.push(`flood of ${kind.name}: ${text}`)
  for (const [status, count] of Object.entries({ ...totals.statuses })) {
    if (!/^(?:2..|4..|503)$/.test(status)) fault(`${count} answers were ${status}`)
  }
  if (totals.withoutRetryAfter > 0) fault(`${totals.withoutRetryAfter} answers 429 or 503 had no Retry-After`)
  if (calm.unexpected.length > 0) fault(`a well-behaved client was told: ${calm.unexpected.slice(0, 3).join('; ')}`)
  if (figures.acceptedPerSecond < acceptedShareMin * capacity)
    fault(`${figures.acceptedPerSecond} a second were accepted, and ${Math.round(capacity)} before`)
  if ((figures.acceptedP50Ms ?? 0) > kind.acceptedP50MsMax * load)
    fault(`what was accepted took ${figures.acceptedP50Ms} ms (p50)`)
  if (used.mostMib > memoryMibMax) fault(`the service took ${used.mostMib} MiB`)
  if (!short && used.mostMib > grownMib && used.growth > growthMax)
    fault(`memory grew by a factor of ${used.growth.toFixed(2)} from half to half`)
  if (backMs === null || backMs > backMsMax * load)
    fault(`not back to normal within ${backMsMax} ms: ${backMs ?? 'never'}`)
  if (residentMib(node.pid) === null) fault(`the service ended: ${node.output.slice(-2_000)}`)
  return { figures, faults }
}

function spread(latencies: Latencies): Spread {
  return { p50Ms: latencies.p50, p99Ms: latencies.p99 }
}
