import { setTimeout as delay } from 'node:timers/promises'
import { createRandom } from '../../../src/demo/random.ts'
import type { BuiltService } from '../../nodes/support/builtService.ts'
import { until } from '../../nodes/support/until.ts'
import type { Call } from '../history/call.ts'
import { checkHistory, type Verdict } from '../history/checkHistory.ts'
import { type Fault, type FaultType, faultText } from '../history/faults.ts'
import { readLogFromDatabase } from '../history/recordedLog.ts'
import { monotonicUs } from '../history/recorder.ts'
import { ClientLoad } from '../support/clientLoad.ts'
import { caughtUp, judge } from '../support/judge.ts'
import { SupervisedNode } from '../support/supervisedNode.ts'
import { type PowerBase, startOnCopy, startTimeoutMs } from './powerBase.ts'
import type { DiskKind, PowerDisk } from './powerDisk.ts'
import type { PowerServer } from './powerServer.ts'

/** Whose power it was: that of the database's machine alone, or that of the node as well. */
export type CutOf = 'database' | 'everything'

export interface PowerCut {
  readonly of: CutOf
  /** Writes that were accepted since the last cut. */
  readonly accepted: number
  /** From the start of PostgreSQL on what the cut has left until it answers. */
  readonly recoveryMs: number
  /** From then, the check apart, until a write is accepted again. */
  readonly backMs: number | null
}

export interface PowerRun {
  readonly title: string
  readonly cuts: readonly PowerCut[]
  readonly verdict: Verdict
  readonly calls: readonly Call[]
  readonly seconds: number
}

export interface PowerPlan {
  readonly service: BuiltService
  readonly base: PowerBase
  readonly disk: DiskKind
  readonly cuts: number
  readonly seed: number
  readonly progress: (line: string) => void
}

export const diskTitles: Readonly<Record<DiskKind, string>> = {
  writeThrough: 'a disk that keeps what was written to it',
  writeBack: 'a disk that keeps only what it was told to flush',
}

const patienceMs = 30_000
/** For so long the service may go on, and promise, after the cut: what it promises then counts as well. */
const afterCutMs = 100

/** What must hold at once, on what a cut has left. The rest waits for the end, when no call is open any more. */
const atOnce: ReadonlySet<FaultType> = new Set([
  'lost_write',
  'doubled_write',
  'receipt_mismatch',
  'request_mismatch',
  'changed_event',
  'revision_gap',
  'position_order',
  'broken_chain',
  'malformed_event',
])

/** Power cuts under load; after each, and at the end, holds what the clients were told against what the disk has kept. */
export async function powerRun(plan: PowerPlan): Promise<PowerRun> {
  const { service, base, cuts: count, progress } = plan
  const startedMs = performance.now()
  const title = diskTitles[plan.disk]
  const random = createRandom(plan.seed).fork(title)
  const { disk, server } = await startOnCopy(base, plan.disk)
  const node = await SupervisedNode.start(service, 'node', { DATABASE_URL: server.connectionString })
  await node.ready(startTimeoutMs)
  const load = await ClientLoad.start({ urls: [node.url], random })
  const cuts: PowerCut[] = []
  try {
    for (let n = 1; n <= count; n += 1) {
      const before = load.watch.accepted
      await load.while(load.watch.more(random.integer(200, 2_500), 4_000))
      await delay(random.next() * 50)
      const of = random.pick(['database', 'everything'] as const)
      await cutPower(of, disk, server, node)
      const accepted = load.watch.accepted - before
      await disk.powerUp()
      const recoveryMs = await server.startAgain()
      const faults = await faultsAtOnce(server.connectionString, load.calls.slice())
      if (faults.length > 0) throw new Error(`${title}, cut ${n}:\n${faults.map(faultText).join('\n\n')}`)
      const resumedUs = monotonicUs()
      node.signal('SIGCONT')
      const backUs = await load.while(load.watch.firstAfter(resumedUs, null, patienceMs))
      const backMs = backUs === null ? null : (backUs - resumedUs) / 1_000
      cuts.push({ of, accepted, recoveryMs, backMs })
      progress(
        `${title}, cut ${n} of ${count} (${of}): ${accepted} accepted before it, all there; ` +
          `recovered in ${Math.round(recoveryMs)} ms, a write after ${backMs === null ? 'too long' : Math.round(backMs)} ms`,
      )
      if (backMs === null) throw new Error(`${title}: not back after cut ${n}\n${node.output}`)
    }
  } finally {
    await load.finish()
  }
  await caughtUp(node.url, patienceMs)
  await node.stop()
  const verdict = await judge(server.connectionString, load.calls)
  await server.stop()
  await disk.remove()
  return { title, cuts, verdict, calls: load.calls, seconds: (performance.now() - startedMs) / 1_000 }
}

/** Leaves the node standing still: that of before, or a new one that has not got to the database yet. */
export async function cutPower(of: CutOf, disk: PowerDisk, server: PowerServer, node: SupervisedNode): Promise<void> {
  await disk.cut()
  await delay(afterCutMs)
  if (of === 'everything') {
    const { restarts } = node
    node.kill()
    await until('the node is started again', startTimeoutMs, () => node.restarts > restarts)
  }
  node.signal('SIGSTOP')
  await server.kill()
}

async function faultsAtOnce(connectionString: string, calls: readonly Call[]): Promise<readonly Fault[]> {
  const log = await readLogFromDatabase(connectionString)
  return checkHistory({ calls, log }).faults.filter(({ type }) => atOnce.has(type))
}
