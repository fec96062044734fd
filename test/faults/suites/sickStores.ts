import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Verdict } from '../history/checkHistory.ts'
import { faultText } from '../history/faults.ts'
import { type FailOver, failOver } from '../sick/failOver.ts'
import { clockJump, NodeClock } from '../sick/nodeClock.ts'
import { SickRig } from '../sick/sickRig.ts'
import { type SickFigures, sickOnce } from '../sick/sickRun.ts'
import {
  connectionsTaken,
  diskFull,
  hang,
  longTransaction,
  network,
  readsBlocked,
  type StoreFault,
} from '../sick/storeFaults.ts'
import { markdownTable, type Suite, type SuiteContext, type SuiteReport } from '../suite.ts'
import { keepHistory } from '../support/keepHistory.ts'
import { mountsRefused } from '../support/mounts.ts'
import { prepareServer } from '../support/preparedServer.ts'
import { missing } from '../support/run.ts'

const programs = ['mount', 'umount', 'fallocate'] as const

const shortFaults: readonly StoreFault[] = [
  hang(1_000),
  diskFull(2_000),
  network.cutInCommit(1_500),
  network.halfOpen(1_500),
  connectionsTaken(2_000),
  longTransaction(1_000),
]

const longFaults: readonly StoreFault[] = [
  hang(1_000),
  hang(10_000),
  diskFull(10_000),
  network.slow(10_000),
  network.cutInCommit(10_000),
  network.cutUnheard(10_000),
  network.halfCommit(10_000),
  network.halfOpen(20_000),
  network.blackHole(20_000),
  network.reset(10_000),
  connectionsTaken(10_000),
  readsBlocked(10_000),
  longTransaction(20_000),
]
const clockFaults = {
  short: [clockJump(1, 500), clockJump(-1, 500, true)],
  long: [clockJump(1, 10_000), clockJump(-1, 10_000), clockJump(1, 10_000, true), clockJump(-1, 10_000, true)],
}
const repeats = 3

export const sickStores: Suite = {
  name: 'sick-stores',
  description: 'a full disk, a server that hangs, bad networks, fail-overs, clocks that jump, under load; needs root',
  async run(context) {
    const lacking = (await missing(programs)) ?? (await mountsRefused(context.scratch, false))
    if (lacking !== null) return { faults: [], notRun: [`sick stores: ${lacking}`], figures: {}, markdown: '' }
    const folder = join(context.scratch, 'sick-stores')
    await mkdir(folder, { mode: 0o711 })
    await prepareServer(templateIn(folder))
    const clock = await NodeClock.make(folder)
    const notRun = clock === null ? ["clocks that jump: the system lacks libfaketime (Debian's package faketime)"] : []
    const runs: SickStores = { faults: [], figures: [], verdicts: [], failOvers: [] }
    for (const [index, list] of plan(context, clock !== null).entries())
      await runOne(context, folder, index, list, clock, runs)
    await failOvers(context, folder, runs)
    return { ...report(runs), notRun }
  },
}

/** The cluster that all others begin as. */
function templateIn(folder: string): string {
  return join(folder, 'template')
}

interface SickStores {
  readonly faults: string[]
  readonly figures: SickFigures[]
  readonly verdicts: Verdict[]
  readonly failOvers: FailOver[]
}

/** All of a list's faults, one after the other, on one log. */
async function runOne(
  { service, seed, progress, keep, results }: SuiteContext,
  folder: string,
  index: number,
  list: readonly StoreFault[],
  clock: NodeClock | null,
  runs: SickStores,
): Promise<void> {
  const rig = await SickRig.start(service, templateIn(folder), join(folder, `rig-${index}`), seed + index, clock)
  const found: string[] = []
  for (const fault of list) {
    const one = await sickOnce(rig, fault, found)
    progress(text(one))
    runs.figures.push(one)
  }
  const verdict = await rig.finish()
  found.push(...verdict.faults.map(faultText))
  if (keep || found.length > 0) await keepHistory(results, `sick-${index}`, rig.load.calls)
  runs.faults.push(...found)
  runs.verdicts.push(verdict)
}

async function failOvers(context: SuiteContext, folder: string, runs: SickStores): Promise<void> {
  const { service, seed, progress, keep, results, short, rounds } = context
  for (let n = 0; n < (short ? 1 : (rounds ?? repeats)); n += 1) {
    for (const kind of ['synchronous', 'asynchronous'] as const) {
      const name = `fail-over-${kind}-${n}`
      const one = await failOver(service, templateIn(folder), join(folder, name), kind, seed + n)
      const { accepted, lost, refuses, backMs, verdict } = one
      const end = refuses ? 'the node refuses' : `back after ${backMs ?? '-'} ms`
      progress(`fail-over to the ${kind} standby: ${lost} of ${accepted} lost, ${end}`)
      const found = [...judgeFailOver(one), ...(verdict?.faults ?? []).map(faultText)]
      if (keep || found.length > 0) await keepHistory(results, name, one.calls)
      runs.faults.push(...found)
      runs.failOvers.push({ ...one, calls: [] })
      if (verdict !== null) runs.verdicts.push(verdict)
    }
  }
}

function judgeFailOver({ standby, lost, refuses, backMs }: FailOver): string[] {
  const title = `fail-over to the ${standby} standby`
  if (standby === 'synchronous') {
    if (lost > 0) return [`${title}: ${lost} accepted writes are lost`]
    return backMs === null ? [`${title}: it needs a hand${refuses ? ', for the node refuses to go on' : ''}`] : []
  }
  if (lost === 0) return [`${title}: the control lost nothing, so these fail-overs prove nothing`]
  return refuses ? [] : [`${title}: ${lost} accepted writes are lost, and the node goes on`]
}

/** Faults by log. */
function plan({ short, rounds }: SuiteContext, clocks: boolean): readonly (readonly StoreFault[])[] {
  const times = rounds ?? repeats
  if (short) return [[...shortFaults, ...(clocks ? clockFaults.short : [])]]
  const jumps = clocks ? Array.from({ length: times }, () => clockFaults.long).flat() : []
  return [[hang(60_000)], jumps, ...Array.from({ length: times }, () => longFaults)].filter((list) => list.length > 0)
}

function text({ title, writes, reads, backMs }: SickFigures): string {
  const { answered, notTaken, unknown, longestMs } = writes
  return (
    `${title}: writes ${answered} answered, ${notTaken} not taken, ${unknown} unknown, longest ${longestMs} ms; ` +
    `reads ${reads.answered} answered, ${reads.notTaken} not, longest ${reads.longestMs} ms; back after ${backMs ?? '-'} ms`
  )
}

function report({ faults, figures, verdicts, failOvers }: SickStores): SuiteReport {
  const titles = [...new Set(figures.map(({ title }) => title))]
  const rows = titles.map((title) => {
    const own = figures.filter((one) => one.title === title)
    const sum = (of: (one: SickFigures) => number) => own.reduce((total, one) => total + of(one), 0)
    const most = (of: (one: SickFigures) => number) => Math.max(...own.map(of))
    return {
      title,
      times: own.length,
      writesAnswered: sum(({ writes }) => writes.answered),
      writesNotTaken: sum(({ writes }) => writes.notTaken),
      writesUnknown: sum(({ writes }) => writes.unknown),
      longestWriteMs: most(({ writes }) => writes.longestMs),
      readsAnswered: sum(({ reads }) => reads.answered),
      readsNot: sum(({ reads }) => reads.notTaken),
      longestReadMs: most(({ reads }) => reads.longestMs),
      backMs: own.some(({ backMs }) => backMs === null) ? null : most(({ backMs }) => backMs ?? 0),
    }
  })
  const total = (figure: 'calls' | 'accepted' | 'events') =>
    verdicts.reduce((sum, verdict) => sum + verdict.figures[figure], 0)
  const count = (type: 'lost_write' | 'doubled_write') =>
    verdicts.reduce((sum, verdict) => sum + (verdict.counts[type] ?? 0), 0)
  const sums = {
    calls: total('calls'),
    accepted: total('accepted'),
    events: total('events'),
    lost: count('lost_write'),
    doubled: count('doubled_write'),
    faults: verdicts.reduce((sum, verdict) => sum + verdict.total, 0),
  }
  return { faults, figures: { stores: rows, failOvers, ...sums }, markdown: tables(rows, sums, failOvers) }
}

function tables(
  rows: readonly Readonly<Record<string, string | number | null>>[],
  sums: Readonly<Record<string, number>>,
  failOvers: readonly FailOver[],
): string {
  return [
    markdownTable(
      [
        '',
        'times',
        'writes answered',
        '503, not taken',
        '503, unknown',
        'longest wait, ms',
        'reads answered',
        '503',
        'longest wait, ms',
        'a write again after, at most, ms',
      ],
      rows.map((row) => Object.values(row).map((value) => value ?? '-')),
    ),
    '',
    markdownTable(
      ['fail-over to a standby', 'accepted', 'lost', 'the node', 'a write again after, ms'],
      failOvers.map(({ standby, accepted, lost, refuses, backMs }) => [
        standby,
        accepted,
        lost,
        refuses ? 'refuses to go on' : 'goes on',
        backMs ?? '-',
      ]),
    ),
    '',
    markdownTable(Object.keys(sums), [Object.values(sums)]),
  ].join('\n')
}
