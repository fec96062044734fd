import { availableParallelism } from 'node:os'
import { runParallel } from '../../simulation/parallel.ts'
import { markdownTable, type Suite, type SuiteContext, type SuiteReport } from '../suite.ts'

const seedsShort = 500
const seedsLong = 100_000

export const simulation: Suite = {
  name: 'simulation',
  description: 'the service on a simulated log, database, network and clock; --rounds: how many seeds',
  run,
}

async function run({ short, seed, rounds, progress }: SuiteContext): Promise<SuiteReport> {
  const seeds = rounds ?? (short ? seedsShort : seedsLong)
  // Other seeds than those of `npm test`, whatever the run's own.
  const from = 1_000_000 + seed
  const workers = Math.min(2, availableParallelism())
  const { figures, failed } = await runParallel({ seeds, from, workers }, progress)
  return {
    faults: failed.map(
      ({ seed: of, faults }) => `seed ${of}, again with npm run simulate -- replay ${of}\n${faults[0]}`,
    ),
    figures: { ...figures, failed: failed.map(({ seed: of }) => of) },
    markdown: markdownTable(
      ['seeds', 'first', 'failed', 'calls', 'events', 'tasks', 'simulated hours', 'seconds'],
      [
        [
          seeds,
          from,
          failed.length,
          figures.calls,
          figures.events,
          figures.tasks,
          figures.simulatedHours,
          figures.seconds,
        ],
      ],
    ),
  }
}
