import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Verdict } from '../history/checkHistory.ts'
import { faultText } from '../history/faults.ts'
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
  ...[hang(1_000), hang(10_000), diskFull(10_000)],
  ...[network.slow(10_000), network.cutInCommit(10_000), network.halfCommit(10_000)],
  ...[network.halfOpen(20_000), network.blackHole(20_000), network.reset(10_000)],
  ...[connectionsTaken(10_000), readsBlocked(10_000), longTransaction(20_000)],
]
const longRepeats = 3

export const sickStores: Suite = {
  name: 'sick-stores',
  description: 'a full disk, a server that hangs, bad networks, fail-overs, clocks that jump, under load; needs root',
  async run(context) {
    const lacking = await missing(programs)
    if (lacking !== null) return { faults: [], notRun: [`sick stores: ${lacking}`], figures: {}, markdown: '' }
    const folder = join(context.scratch, 'sick-stores')
    await mkdir(folder, { mode: 0o711 })
    const faults: string[] = []
    const figures: SickFigures[] = []
    const verdicts: Verdict[] = []
    for (const [index, list] of plan(context).entries()) {
      const rig = await SickRig.start(context.service, join(folder, `rig-${index}`), context.seed + index)
      const found: string[] = []
      for (const fault of list) {
        const one = await sickOnce(rig, fault, found)
        context.progress(text(one))
        figures.push(one)
      }
      const verdict = await rig.finish()
      found.push(...verdict.faults.map(faultText))
      if (context.keep || found.length > 0) await keepHistory(context.results, `sick-${index}`, rig.load.calls)
      faults.push(...found)
      verdicts.push(verdict)
    }
    return report(faults, figures, verdicts)
  },
}

/** Faults by log. */
function plan({ short, rounds }: SuiteContext): readonly (readonly StoreFault[])[] {
  if (short) return [shortFaults]
  return [[hang(60_000)], ...Array.from({ length: rounds ?? longRepeats }, () => longFaults)]
}

function text({ title, writes, reads, backMs }: SickFigures): string {
  const { answered, notTaken, unknown, longestMs } = writes
  return (
    `${title}: writes ${answered} answered, ${notTaken} not taken, ${unknown} unknown, longest ${longestMs} ms; ` +
    `reads ${reads.answered} answered, ${reads.notTaken} not, longest ${reads.longestMs} ms; back after ${backMs ?? '-'} ms`
  )
}

function report(faults: readonly string[], figures: readonly SickFigures[], verdicts: readonly Verdict[]): SuiteReport {
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
  return { faults, figures: { stores: rows, ...sums }, markdown: tables(rows, sums) }
}

function tables(
  rows: readonly Readonly<Record<string, string | number | null>>[],
  sums: Readonly<Record<string, number>>,
): string {
  return [
    markdownTable(
      [
        ...['', 'times', 'writes answered', '503, not taken', '503, unknown', 'longest wait, ms'],
        ...['reads answered', '503', 'longest wait, ms', 'a write again after, at most, ms'],
      ],
      rows.map((row) => Object.values(row).map((value) => value ?? '-')),
    ),
    '',
    markdownTable(Object.keys(sums), [Object.values(sums)]),
  ].join('\n')
}
