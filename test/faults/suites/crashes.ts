import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Crash, type CrashRun, crashRun, msText } from '../crashes/crashRun.ts'
import { oneNode, severalNodes } from '../crashes/topology.ts'
import { faultText } from '../history/faults.ts'
import { markdownTable, type Suite, type SuiteContext, type SuiteReport } from '../suite.ts'
import { keepHistory } from '../support/keepHistory.ts'
import { spread } from '../support/spread.ts'

/** What the service promises, on a machine that keeps up: no hand is needed, and it takes no longer. */
const backMsMax = 5_000
/** Kills on one log; then the next run begins with an empty one. */
const killsPerRunMax = 100
const rounds = { short: { one: 5, several: 8 }, long: { one: 150, several: 250 } }

export const crashes: Suite = {
  name: 'crashes',
  description: 'kill -9 of nodes, of the postmaster and of single sessions, under load',
  async run(context) {
    const plan = plannedRounds(context)
    const runs: CrashRun[] = []
    for (const [index, { nodes, count }] of plan.entries()) {
      const folder = join(context.scratch, `crashes-${index}`)
      await mkdir(folder, { mode: 0o711 })
      const topology = await (nodes === 1
        ? oneNode(context.service, folder)
        : severalNodes(context.service, folder, nodes))
      const run = await crashRun(topology, count, context.seed + index, context.progress)
      const { verdict, seconds } = run
      const { calls, commands, events } = verdict.figures
      context.progress(
        `${run.title}: ${calls} calls, ${commands} commands, ${events} events, ${verdict.total} faults, ${Math.round(seconds)} s`,
      )
      if (context.keep || verdict.total > 0) await keepHistory(context.results, `crashes-${index}`, run.calls)
      runs.push({ ...run, calls: [] })
    }
    return report(runs, context)
  },
}

function plannedRounds({ short, rounds: asked }: SuiteContext): { readonly nodes: number; readonly count: number }[] {
  const { one, several } = short ? rounds.short : rounds.long
  const share = asked === null ? { 1: one, 3: several } : { 1: Math.ceil(asked / 2), 3: Math.floor(asked / 2) }
  const plan: { nodes: number; count: number }[] = []
  for (const nodes of [1, 3] as const) {
    for (let left = share[nodes]; left > 0; left -= killsPerRunMax) {
      plan.push({ nodes, count: Math.min(left, killsPerRunMax) })
    }
  }
  return plan
}

async function report(runs: readonly CrashRun[], { results, seed }: SuiteContext): Promise<SuiteReport> {
  const faults: string[] = []
  for (const { title, crashes: all, verdict } of runs) {
    faults.push(...verdict.faults.map((fault) => `${title}: ${faultText(fault)}`))
    for (const crash of all) {
      if (isBack(crash)) continue
      const times = `a write after ${msText(crash.firstMs)}, through every node after ${msText(crash.everywhereMs)}`
      faults.push(`${title}: not back within ${backMsMax} ms after ${crash.kinds.join(', then ')}: ${times}`)
    }
  }
  if (faults.length > 0) await writeFile(join(results, 'crashes-faults.txt'), faults.join('\n\n'))
  const titles = [...new Set(runs.map(({ title }) => title))]
  const figures = {
    seed,
    topologies: titles.map((title) =>
      summary(
        title,
        runs.filter((run) => run.title === title),
      ),
    ),
  }
  return { faults, figures, markdown: tables(figures.topologies) }
}

function isBack({ firstMs, everywhereMs, load }: Crash): boolean {
  const inTime = (ms: number | null) => ms !== null && ms <= backMsMax * load
  return inTime(firstMs) && inTime(everywhereMs)
}

type Summary = ReturnType<typeof summary>

function summary(title: string, runs: readonly CrashRun[]) {
  const all = runs.flatMap((run) => run.crashes)
  const kinds = [...new Set(all.map(({ kinds }) => (kinds.length > 1 ? 'two in a row' : (kinds[0] ?? ''))))].sort()
  const total = (figure: keyof CrashRun['verdict']['figures']) =>
    runs.reduce((sum, { verdict }) => sum + verdict.figures[figure], 0)
  const faultsOf = (...types: readonly string[]) =>
    runs.reduce(
      (sum, { verdict }) =>
        sum + Object.entries(verdict.counts).reduce((of, [type, count]) => of + (types.includes(type) ? count : 0), 0),
      0,
    )
  return {
    title,
    kills: all.reduce((sum, crash) => sum + crash.kinds.length, 0),
    seconds: Math.round(runs.reduce((sum, run) => sum + run.seconds, 0)),
    calls: total('calls'),
    commands: total('commands'),
    accepted: total('accepted'),
    unknown: total('unknown'),
    notTaken: total('notTaken'),
    events: total('events'),
    strongReads: total('strongReads'),
    lost: faultsOf('lost_write'),
    doubled: faultsOf('doubled_write'),
    loadMax: Number(Math.max(...all.map(({ load }) => load)).toFixed(1)),
    drift: faultsOf('read_model_row', 'read_model_parked', 'read_model_checkpoint', 'rebuild_differs'),
    faults: runs.reduce((sum, { verdict }) => sum + verdict.total, 0),
    back: kinds.map((kind) => {
      const own = all.filter((crash) => (crash.kinds.length > 1 ? 'two in a row' : crash.kinds[0]) === kind)
      return {
        kind,
        count: own.length,
        first: spread(own.map((crash) => crash.firstMs)),
        everywhere: spread(own.map((crash) => crash.everywhereMs)),
      }
    }),
  }
}

function tables(topologies: readonly Summary[]): string {
  const text = (ms: number | null) => (ms === null ? '-' : ms)
  return [
    markdownTable(
      [
        '',
        'kills',
        'calls',
        'commands',
        'events',
        'outcomes unknown at first',
        'strong reads',
        'lost',
        'doubled',
        'drift',
        'faults',
      ],
      topologies.map((one) => [
        one.title,
        one.kills,
        one.calls,
        one.commands,
        one.events,
        one.unknown,
        one.strongReads,
        one.lost,
        one.doubled,
        one.drift,
        one.faults,
      ]),
    ),
    '',
    markdownTable(
      ['', 'killed', 'times', 'first write again: median ms', 'most ms', 'through every node: median ms', 'most ms'],
      topologies.flatMap(({ title, back }) =>
        back.map(({ kind, count, first, everywhere }) => [
          title,
          kind,
          count,
          text(first.medianMs),
          text(first.maxMs),
          text(everywhere.medianMs),
          text(everywhere.maxMs),
        ]),
      ),
    ),
  ].join('\n')
}
