import { join } from 'node:path'
import { faultText } from '../history/faults.ts'
import { makePowerBase, type PowerBase } from '../power/powerBase.ts'
import { type ControlSetting, type PowerControl, powerControl } from '../power/powerControl.ts'
import { type DiskKind, powerDiskPrograms } from '../power/powerDisk.ts'
import { type PowerCut, type PowerRun, powerRun } from '../power/powerRun.ts'
import { markdownTable, type Suite, type SuiteContext, type SuiteReport } from '../suite.ts'
import { keepHistory } from '../support/keepHistory.ts'
import { mountsRefused } from '../support/mounts.ts'
import { missing } from '../support/run.ts'
import { spread } from '../support/spread.ts'

const cutsOf = { short: { writeThrough: 1, writeBack: 1 }, long: { writeThrough: 15, writeBack: 15 } }
/** A control that lost nothing is tried again: with synchronous_commit off, only the last moments are lost. */
const controlAttemptsMax = 5

export const powerCuts: Suite = {
  name: 'power-cuts',
  description: "cuts the power of PostgreSQL's disk (ext4 on a loop device), under load; needs root",
  async run(context) {
    const lacking = (await missing(powerDiskPrograms)) ?? (await mountsRefused(context.scratch, true))
    if (lacking !== null) return { faults: [], notRun: [`power cuts: ${lacking}`], figures: {}, markdown: '' }
    const { service, seed, progress, rounds, short } = context
    const base = await makePowerBase(service, join(context.scratch, 'power-cuts'))
    const runs: PowerRun[] = []
    for (const [index, disk] of (['writeThrough', 'writeBack'] as const satisfies DiskKind[]).entries()) {
      const own = { service, base, seed: seed + index, progress }
      const cuts = rounds === null ? cutsOf[short ? 'short' : 'long'][disk] : Math.ceil(rounds / 2)
      const run = await powerRun({ ...own, disk, cuts })
      if (context.keep || run.verdict.total > 0) await keepHistory(context.results, `power-${disk}`, run.calls)
      runs.push({ ...run, calls: [] })
    }
    const controls: PowerControl[] = []
    for (const setting of ['fsync', 'synchronous_commit'] as const)
      controls.push(...(await control(context, base, setting)))
    return report(runs, controls)
  },
}

async function control(context: SuiteContext, base: PowerBase, setting: ControlSetting): Promise<PowerControl[]> {
  const { service, seed, progress } = context
  const controls: PowerControl[] = []
  for (let attempt = 1; attempt <= controlAttemptsMax; attempt += 1) {
    const own = { service, base, seed: seed + attempt, progress }
    const one = await powerControl(own, setting)
    controls.push(one)
    if (one.lost > 0 && (context.short || attempt >= 3)) break
  }
  return controls
}

function report(runs: readonly PowerRun[], controls: readonly PowerControl[]): SuiteReport {
  const faults = runs.flatMap(({ title, verdict }) => verdict.faults.map((fault) => `${title}: ${faultText(fault)}`))
  for (const setting of ['fsync', 'synchronous_commit'] as const) {
    const own = controls.filter((one) => one.setting === setting)
    if (!own.some(({ lost }) => lost > 0)) {
      faults.push(`control: ${setting}=off lost nothing in ${own.length} cuts, so these cuts prove nothing`)
    }
    for (const { lost, noticed } of own) {
      if (lost > 0 && noticed === false)
        faults.push(`control: ${setting}=off lost ${lost}, and the node has not noticed`)
    }
  }
  const figures = { runs: runs.map(summary), controls }
  return { faults, figures, markdown: tables(figures) }
}

function summary({ title, cuts, verdict, seconds }: PowerRun) {
  const { calls, commands, accepted, unknown, events } = verdict.figures
  const { lost_write: lost = 0, doubled_write: doubled = 0 } = verdict.counts
  const times = (of: (cut: PowerCut) => number | null) => spread(cuts.map(of))
  return {
    title,
    cuts: cuts.length,
    ofEverything: cuts.filter(({ of }) => of === 'everything').length,
    seconds: Math.round(seconds),
    calls,
    commands,
    accepted,
    unknown,
    events,
    lost,
    doubled,
    faults: verdict.total,
    recovery: times(({ recoveryMs }) => recoveryMs),
    back: times(({ backMs }) => backMs),
  }
}

function tables(figures: {
  readonly runs: readonly ReturnType<typeof summary>[]
  readonly controls: readonly PowerControl[]
}): string {
  const names = ['', 'cuts', 'calls', 'accepted', 'unknown at first', 'events', 'lost', 'doubled', 'faults']
  const times = ['recovery: median ms', 'most ms', 'a write again: median ms', 'most ms']
  return [
    markdownTable(
      [...names, ...times],
      figures.runs.map(({ title, cuts, calls, accepted, unknown, events, lost, doubled, faults, recovery, back }) => [
        title,
        cuts,
        calls,
        accepted,
        unknown,
        events,
        lost,
        doubled,
        faults,
        ...[recovery, back].flatMap(({ medianMs, maxMs }) => [medianMs ?? '-', maxMs ?? '-']),
      ]),
    ),
    '',
    markdownTable(
      ['control', 'accepted', 'lost', 'the cluster', 'the node has noticed'],
      figures.controls.map(({ setting, accepted, lost, lastWords, noticed }) => [
        `${setting}=off`,
        accepted,
        lost,
        lastWords ?? 'recovered',
        noticed === null ? '-' : noticed ? 'yes' : 'no',
      ]),
    ),
  ].join('\n')
}
