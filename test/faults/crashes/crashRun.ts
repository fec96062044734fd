import { readFileSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { createRandom, type Random } from '../../../src/demo/random.ts'
import { until } from '../../nodes/support/until.ts'
import type { Call } from '../history/call.ts'
import type { Verdict } from '../history/checkHistory.ts'
import { monotonicUs } from '../history/recorder.ts'
import type { AcceptedWatch } from '../support/acceptedWatch.ts'
import { ClientLoad } from '../support/clientLoad.ts'
import { caughtUp, judge } from '../support/judge.ts'
import { type Killed, type KillKind, kill, killKinds } from './kills.ts'
import type { Topology } from './topology.ts'

/** One kill, or two of which the second came before all had come back from the first. */
export interface Crash {
  readonly kinds: readonly KillKind[]
  /** From the last kill to the first write accepted anywhere, and to that through the last node; null: not in time. */
  readonly firstMs: number | null
  readonly everywhereMs: number | null
  /** 1 on a machine that keeps up; where more work waits than it can do, everything takes as much longer. */
  readonly load: number
}

export interface CrashRun {
  readonly title: string
  readonly crashes: readonly Crash[]
  readonly verdict: Verdict
  readonly calls: readonly Call[]
  readonly seconds: number
}

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
  const urls = topology.nodes.map(({ url }) => url)
  const load = await ClientLoad.start({ urls, random })
  const crashes: Crash[] = []
  try {
    for (let round = 1; round <= rounds; round += 1) {
      const times = await load.while(crashOnce(topology, load.watch, random))
      const crash = { ...times, load: Math.max(1, (loadavg()[0] ?? 0) / (2 * availableParallelism())) }
      crashes.push(crash)
      progress(`${topology.title}, kill ${round} of ${rounds}: ${crashText(crash)}; ${load.watch.accepted} accepted`)
      if (crash.everywhereMs === null) throw new NotBackError(topology, crash)
    }
  } finally {
    await load.finish()
  }
  await Promise.all(urls.map((url) => caughtUp(url, patienceMs)))
  const verdict = await topology.finish((connectionString) => judge(connectionString, load.calls))
  return {
    title: topology.title,
    crashes,
    verdict,
    calls: load.calls,
    seconds: (performance.now() - startedMs) / 1_000,
  }
}

async function crashOnce(topology: Topology, watch: AcceptedWatch, random: Random): Promise<Omit<Crash, 'load'>> {
  await watch.more(random.integer(1, 300), 2_000)
  await delay(random.next() * 20)
  const killed: Killed[] = []
  const strike = () => {
    const one = kill(random.pick(killKinds(topology)), topology, random)
    if (one !== null) killed.push(one)
  }
  for (strike(); killed.length === 0; strike()) await delay(20)
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

function crashText({ kinds, firstMs, everywhereMs }: Crash): string {
  return `${kinds.join(', then ')}; a write after ${msText(firstMs)}, through every node after ${msText(everywhereMs)}`
}

export function msText(ms: number | null): string {
  return ms === null ? `more than ${patienceMs} ms` : `${Math.round(ms)} ms`
}
