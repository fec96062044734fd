import { availableParallelism } from 'node:os'
import { Command, InvalidArgumentError } from 'commander'
import { runParallel } from './parallel.ts'
import { type BugName, plantedBugs } from './plants.ts'
import { simulate } from './simulate.ts'

// npm run simulate: the service simulated, seed after seed. Built into .faults/test/simulation (scripts/buildFaults.mjs).

interface Options {
  readonly seeds: number
  readonly from: number
  readonly workers: number
}

/** Failed seeds whose faults are printed whole. */
const shownMax = 10

function program(): Command {
  const command = new Command('simulate')
    .description(
      'Runs the service on a simulated log, database, network and clock, and judges what its clients were told.',
    )
    .showHelpAfterError()
    .option('--seeds <number>', 'how many runs', integer, 1_000)
    .option('--from <number>', 'the first seed', integer, 1)
    .option('--workers <number>', 'how many at a time', integer, Math.min(2, availableParallelism()))
    .addHelpText(
      'after',
      `
Examples:
  npm run simulate -- --seeds 100000 --from 1
  npm run simulate -- replay 4711
  npm run simulate -- bugs --seeds 2000

Exit codes: 0 no fault, 1 faults, 2 wrong usage.`,
    )
    .action((options: Options) => runAll(options))
  command
    .command('replay')
    .description('one seed, twice: its plan, its faults, and whether both runs were the same')
    .argument('<seed>', 'the seed', integer)
    .action(replay)
  command
    .command('bugs')
    .description('each planted bug: how many seeds it takes to be found')
    .action((_options, bugs: Command) => findBugs(bugs.optsWithGlobals<Options>().seeds))
  return command
}

async function runAll(options: Options): Promise<void> {
  const { figures, failed } = await runParallel(options, (line) => void process.stderr.write(`${line}\n`))
  for (const { seed, faults } of failed.slice(0, shownMax)) {
    process.stdout.write(`seed ${seed}\n${faults.join('\n')}\n\n`)
  }
  process.stdout.write(`${JSON.stringify({ ...figures, failed: failed.map(({ seed }) => seed) })}\n`)
  process.exitCode = failed.length === 0 ? 0 : 1
}

async function replay(seed: number): Promise<void> {
  const [first, second] = [await simulate(seed), await simulate(seed)]
  const { plan, faults, traceHash, tasks, simulatedMs, verdict } = first
  const { kinds, ...rest } = plan
  const shown = { ...rest, kinds: kinds.map(({ pipeline }) => pipeline) }
  process.stdout.write(`${JSON.stringify(shown, null, 2)}\n${faults.join('\n')}\n`)
  const same = second.traceHash === traceHash
  process.stdout.write(`${JSON.stringify({ seed, traceHash, same, tasks, simulatedMs, ...verdict.figures })}\n`)
  process.exitCode = same && faults.length === 0 ? 0 : 1
}

async function findBugs(seeds: number): Promise<void> {
  for (const name of Object.keys(plantedBugs) as BugName[]) {
    const bug = plantedBugs[name]
    let found: string | null = null
    let seed = 0
    while (found === null && seed < seeds) {
      seed += 1
      const { faults } = await simulate(seed, bug)
      found = faults.find((fault) => bug.types.some((type) => fault.startsWith(type))) ?? null
    }
    process.stdout.write(
      `${found === null ? 'not found' : `seed ${seed}`}: ${name}\n  ${found?.split('\n')[0] ?? ''}\n`,
    )
    if (found === null) process.exitCode = 1
  }
}

function integer(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('must be an integer from 0')
  return value
}

await program().parseAsync()
