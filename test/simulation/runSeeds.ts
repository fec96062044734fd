import { setImmediate as nextTurn } from 'node:timers/promises'
import { simulate } from './simulate.ts'

/** What many runs came to. */
export interface RunSummary {
  readonly failed: { readonly seed: number; readonly faults: readonly string[] }[]
  calls: number
  events: number
  tasks: number
  simulatedMs: number
}

const failedMax = 100
const progressEach = 1_000

/** One after the other; ends early when a hundred have failed. `say`: a line for who waits. */
export async function runSeeds(
  seeds: readonly number[],
  say: (line: string) => void = () => undefined,
): Promise<RunSummary> {
  const fail = (seed: number, faults: readonly string[]): void => {
    summary.failed.push({ seed, faults })
    say(`seed ${seed}: ${faults[0]}`)
  }
  const summary: RunSummary = { failed: [], calls: 0, events: 0, tasks: 0, simulatedMs: 0 }
  for (const [index, seed] of seeds.entries()) {
    try {
      const { faults, verdict, tasks, simulatedMs } = await simulate(seed)
      if (faults.length > 0) fail(seed, faults)
      summary.calls += verdict.figures.calls
      summary.events += verdict.figures.events
      summary.tasks += tasks
      summary.simulatedMs += simulatedMs
    } catch (error) {
      fail(seed, [error instanceof Error ? (error.stack ?? error.message) : String(error)])
    }
    if (summary.failed.length >= failedMax) break
    if ((index + 1) % progressEach === 0) say(`${index + 1} of ${seeds.length}`)
    // A run never lets go of the thread.
    await nextTurn()
  }
  return summary
}
