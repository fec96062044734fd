import { execFileSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import { makeRunFolder, removeRunFolder } from '../support/runFolder.ts'
import { checkHistory } from './history/checkHistory.ts'
import { faultText } from './history/faults.ts'
import { readReadModel } from './history/readModelRows.ts'
import { readLogFromDatabase } from './history/recordedLog.ts'
import { readHistory } from './history/recorder.ts'
import type { Suite, SuiteReport } from './suite.ts'
import { crashes } from './suites/crashes.ts'
import { floods } from './suites/floods.ts'
import { leaders } from './suites/leaders.ts'
import { powerCuts } from './suites/powerCuts.ts'
import { sickStores } from './suites/sickStores.ts'
import { simulation } from './suites/simulation.ts'

// npm run faults: the service under real faults. This file is built into .faults/test/faults (scripts/buildFaults.mjs).

const suites: readonly Suite[] = [crashes, powerCuts, sickStores, floods, simulation]
/** What no machine has by itself: run by name only. */
const extraSuites: readonly Suite[] = [leaders]
const built = fileURLToPath(new URL('../../', import.meta.url))
const repository = join(built, '..')
const service = { directory: built, program: join(built, 'src', 'main.js') }

/** Of each kind of fault run; all are in the JSON. */
const faultsShownMax = 20

interface Options {
  readonly short?: boolean
  readonly seed: number
  readonly rounds?: number
  readonly keep?: boolean
}

function program(): Command {
  const faults = new Command('faults')
    .description('Runs the service under real faults and holds what its clients were told against what is left.')
    .showHelpAfterError()
    .option('--short', 'a minute or less for each kind of fault, as CI runs them')
    .option('--seed <number>', 'of all that is random', integer, Date.now() % 1_000_000)
    .option('--keep', 'keep the histories, also where no fault was found')
    .addHelpText(
      'after',
      `
Without a command, all kinds of faults but leaders, which needs a cluster of EventStoreDB.

Examples:
  npm run faults -- --short
  npm run faults -- crashes --rounds 200 --seed 7
  npm run faults -- check --history folder --database postgres://...

Exit codes: 0 no fault, 1 faults or a run that failed, 2 wrong usage, 3 no fault, but not all could be run here.`,
    )
    .action((options: Options) => runSuites(suites, options))
  for (const suite of [...suites, ...extraSuites]) {
    faults
      .command(suite.name)
      .description(suite.description)
      .option('--rounds <number>', 'how many faults', integer)
      .action((_options, command: Command) => runSuites([suite], command.optsWithGlobals<Options>()))
  }
  faults
    .command('check')
    .description('holds a recorded history against a log')
    .requiredOption('--history <folder>', 'with the files *.history.ndjson of all clients')
    .requiredOption('--database <url>', "of the log's owner, once the read model has caught up")
    .action((options: { history: string; database: string }) => check(options.history, options.database))
  return faults
}

async function runSuites(chosen: readonly Suite[], options: Options): Promise<void> {
  const { short = false, seed, keep = false, rounds = null } = options
  const scratch = await makeRunFolder('waybill-faults')
  const startedAt = new Date().toISOString()
  const results = join(repository, 'test', 'faults', 'results', startedAt.replaceAll(':', '-'))
  await mkdir(results, { recursive: true })
  const remove = () => removeRunFolder(scratch)
  process.on('exit', remove)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1))
  // Of what was built: commits may come while it runs.
  const machine = { processors: cpus().length, model: cpus()[0]?.model, node: process.version, commit: commit() }
  const began = performance.now()
  const progress = (line: string) =>
    void process.stderr.write(`${((performance.now() - began) / 1_000).toFixed(1).padStart(7)} s  ${line}\n`)
  progress(`seed ${seed}`)
  const reports: { readonly name: string; readonly report: SuiteReport }[] = []
  for (const suite of chosen) {
    const context = { short, seed, keep, rounds, scratch, results, progress, service }
    reports.push({ name: suite.name, report: await suite.run(context) })
  }
  const facts = { startedAt, machine, seed, short, command: process.argv.slice(2).join(' ') }
  const text = reportText(facts, reports)
  await writeFile(join(results, 'report.json'), JSON.stringify({ ...facts, reports }, null, 2))
  await writeFile(join(results, 'report.md'), text)
  process.stdout.write(text)
  process.stderr.write(`\nThe report: ${join(results, 'report.md')}, and .json\n`)
  if (reports.some(({ report }) => report.faults.length > 0)) process.exit(1)
  process.exit(reports.some(({ report }) => (report.notRun ?? []).length > 0) ? 3 : 0)
}

function reportText(
  facts: { readonly startedAt: string; readonly machine: object; readonly seed: number; readonly command: string },
  reports: readonly { readonly name: string; readonly report: SuiteReport }[],
): string {
  const { startedAt, machine, command } = facts
  const lines = [
    `# Faults, ${startedAt}`,
    '',
    `\`npm run faults -- ${command}\`, seed ${facts.seed}; ${Object.values(machine).join(', ')}`,
  ]
  for (const { name, report } of reports) {
    const { faults, notRun = [] } = report
    lines.push('', `## ${name}`, '', report.markdown, '')
    lines.push(faults.length > 0 ? `${faults.length} faults:` : report.markdown === '' ? 'Not run.' : 'No fault.')
    for (const sentence of notRun) lines.push('', `**Not run**: ${sentence}.`)
    for (const fault of report.faults.slice(0, faultsShownMax)) lines.push('', '```', fault, '```')
  }
  const failed = reports.filter(({ report }) => report.faults.length > 0).length
  const notRun = reports.filter(({ report }) => (report.notRun ?? []).length > 0 && report.faults.length === 0).length
  const passed = reports.length - failed - notRun
  lines.push('', `Kinds of fault: ${passed} passed, ${failed} failed, ${notRun} not run, or not all of it.`)
  return `${lines.join('\n')}\n`
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: repository, encoding: 'utf8' }).trim()
  } catch {
    return 'unknown commit'
  }
}

async function check(history: string, database: string): Promise<void> {
  const calls = await readHistory(history)
  const log = await readLogFromDatabase(database)
  const verdict = checkHistory({ calls, log, readModel: await readReadModel(database) })
  for (const fault of verdict.faults) process.stdout.write(`${faultText(fault)}\n\n`)
  process.stdout.write(`${JSON.stringify({ faults: verdict.total, counts: verdict.counts, ...verdict.figures })}\n`)
  process.exitCode = verdict.total === 0 ? 0 : 1
}

function integer(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('must be an integer from 0')
  return value
}

try {
  await program().parseAsync()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  process.exit(1)
}
