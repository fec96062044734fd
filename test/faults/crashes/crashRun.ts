import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { createRandom, type Random } from '../../../src/demo/random.ts'
import { until } from '../../nodes/support/until.ts'
import { WaybillHttp } from '../../nodes/support/waybillHttp.ts'
import type { Call } from '../history/call.ts'
import { checkHistory, type Verdict } from '../history/checkHistory.ts'
import { readReadModel } from '../history/readModelRows.ts'
import { rebuildReadModel } from '../history/rebuild.ts'
import { readLogFromDatabase } from '../history/recordedLog.ts'
import { MemoryRecorder, monotonicUs } from '../history/recorder.ts'
import { RecordingClient } from '../history/recordingClient.ts'
import { AcceptedWatch } from '../support/acceptedWatch.ts'
import { defineKinds, newWorld, runClient } from '../workload.ts'
import { type Killed, type KillKind, kill, killKinds } from './kills.ts'
import type { Topology } from './topology.ts'

/** One kill, or two of which the second came before all had come back from the first. */
export interface Crash {
  readonly kinds: readonly KillKind[]
  /** From the last kill to the first write accepted anywhere, and to that through the last node; null: not in time. */
  readonly firstMs: number | null
  readonly everywhereMs: number | null
}

export interface CrashRun {
  readonly title: string
  readonly crashes: readonly Crash[]
  readonly verdict: Verdict
  readonly calls: readonly Call[]
  readonly seconds: number
}

const clientCount = 12
const pauseMs = 8
/** Who is not back by then is taken to need a hand. */
const patienceMs = 30_000

/** Kills under load, `rounds` times; then holds what the clients were told against what is left. */
export async function crashRun(
  topology: Topology,
  rounds: number,
  seed: number,
  progress: (line: string) => void,
): Promise<CrashRun> {
  const startedMs = performance.now()
  const random = createRandom(seed).fork(topology.title)
  const recorder = new MemoryRecorder()
  const watch = new AcceptedWatch(recorder)
  const urls = topology.nodes.map(({ url }) => url)
  const clients = Array.from({ length: clientCount }, (_, n) => new RecordingClient(`c${n}`, urls, watch, n))
  const [first] = clients
  if (first !== undefined) await defineKinds(first)
  const world = newWorld()
  const [ending, givingUp] = [new AbortController(), new AbortController()]
  const signals = { signal: ending.signal, giveUp: givingUp.signal }
  const running = Promise.all(
    clients.map((client, n) =>
      runClient({ ...signals, name: `c${n}`, client, world, random: random.fork(`c${n}`), pauseMs }),
    ),
  )
  const crashes: Crash[] = []
  try {
    for (let round = 1; round <= rounds; round += 1) {
      const crash = await Promise.race([crashOnce(topology, watch, random), running.then(noClients)])
      crashes.push(crash)
      progress(`${topology.title}, kill ${round} of ${rounds}: ${crashText(crash)}; ${watch.accepted} writes accepted`)
      if (crash.everywhereMs !== null) continue
      givingUp.abort()
      throw new NotBackError(topology, crash)
    }
  } finally {
    ending.abort()
    await running
    for (const client of clients) client.close()
  }
  await Promise.all(urls.map(caughtUp))
  const verdict = await topology.finish(async (connectionString) => {
    const log = await readLogFromDatabase(connectionString)
    const readModel = await readReadModel(connectionString)
    await rebuildReadModel(connectionString)
    return checkHistory({ calls: recorder.calls, log, readModel, rebuilt: await readReadModel(connectionString) })
  })
  return {
    title: topology.title,
    crashes,
    verdict,
    calls: recorder.calls,
    seconds: (performance.now() - startedMs) / 1_000,
  }
}

async function crashOnce(topology: Topology, watch: AcceptedWatch, random: Random): Promise<Crash> {
  await watch.more(random.integer(1, 300), 2_000)
  await delay(random.next() * 20)
  const killed: Killed[] = []
  const strike = () => {
    const one = kill(random.pick(killKinds(topology)), topology, random)
    if (one !== null) killed.push(one)
  }
  while (killed.length === 0) strike()
  if (random.chance(0.2)) {
    await delay(random.next() * 600)
    strike()
  }
  const kinds = killed.map(({ kind }) => kind)
  const killedUs = monotonicUs()
  const afterMs = (us: number | null) => (us === null ? null : (us - killedUs) / 1_000)
  // Sessions outlive their postmaster by some moments, and what they commit is no sign of recovery.
  const othersServe = topology.nodes.length > 1 && kinds.every((kind) => kind === 'node')
  const isBack = () => killed.every(({ isReplaced }) => isReplaced())
  if (!othersServe && !(await comesTrue(isBack))) return { kinds, firstMs: null, everywhereMs: null }
  const firstUs = await watch.firstAfter(monotonicUs(), null, patienceMs)
  if (!(await comesTrue(isBack))) return { kinds, firstMs: afterMs(firstUs), everywhereMs: null }
  const backUs = monotonicUs()
  const through = await Promise.all(topology.nodes.map(({ url }) => watch.firstAfter(backUs, url, patienceMs)))
  const lastUs = through.reduce((last, us) => (last === null || us === null ? null : Math.max(last, us)), 0)
  return { kinds, firstMs: afterMs(firstUs), everywhereMs: afterMs(lastUs) }
}

async function comesTrue(condition: () => boolean): Promise<boolean> {
  return until('it is replaced', patienceMs, condition).catch(() => false)
}

const serverLogMax = 20_000

/** Somebody's hand is needed: there is nothing to go on with. */
class NotBackError extends Error {
  override readonly name = 'NotBackError'

  constructor({ title, nodes, serverLog }: Topology, { kinds }: Crash) {
    const said = nodes.map(({ name, output, restarts }) => `${name}, started again ${restarts} times:\n${output}`)
    said.push(`PostgreSQL:\n${readFileSync(serverLog, 'utf8').slice(-serverLogMax)}`)
    super(`${title}: not back within ${patienceMs} ms after ${kinds.join(', then ')}\n${said.join('\n')}`)
  }
}

function noClients(): never {
  throw new Error('the clients have ended')
}

function crashText({ kinds, firstMs, everywhereMs }: Crash): string {
  return `${kinds.join(', then ')}; a write after ${msText(firstMs)}, through every node after ${msText(everywhereMs)}`
}

export function msText(ms: number | null): string {
  return ms === null ? `more than ${patienceMs} ms` : `${Math.round(ms)} ms`
}

async function caughtUp(url: string): Promise<void> {
  const http = new WaybillHttp(url)
  try {
    await until(`${url} has caught up`, patienceMs, async () => {
      const { status, body } = await http.get('/v1/stats')
      return status === 200 && body.position === body.head
    })
  } finally {
    http.close()
  }
}
