import { defineConfig, type Plugin } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { isDrawn } from './scripts/mutantSample.mjs'
import { closeWarmPool, warmPool } from './test/support/warmPool.ts'

interface Area {
  readonly tests: readonly string[]
  /** Of those: they come last, before what the others did not notice. */
  readonly slow: readonly string[]
}

const operation = {
  tests: ['test/operation/**/*.test.ts'],
  slow: ['requestHash', 'mergePatch', 'eventsDoc', 'properties'],
}

/** The tests that mutants of an area are put before (scripts/mutate.mjs names it). */
const areas: Readonly<Record<string, Area>> = {
  operation,
  memberOrder: operation,
  commands: {
    tests: ['test/commands/!(postgresLog).test.ts', 'test/operation/envelope.test.ts'],
    slow: ['commandService', 'faults', 'racingNodes', 'receipts', 'snapshots', 'overload'],
  },
  postgres: {
    tests: ['test/eventlog/!(copyLog).test.ts', 'test/contract/eventLogPostgres.test.ts'],
    slow: [
      'rights',
      'plans',
      'eventLogPostgres',
      'notifications',
      'lostServer',
      'unknownOutcome',
      'anotherLog',
      'clockJump',
    ],
  },
  copy: { tests: ['test/eventlog/copyLog.test.ts'], slow: [] },
}
const area = process.env.MUTATE_AREA ?? ''
const { tests, slow } = areas[area] ?? { tests: [], slow: [] }
const inMemory = ['operation', 'memberOrder', 'commands'].includes(area)

class QuickFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => slow.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`))
    return files.toSorted((a, b) => rank(a) - rank(b))
  }
}

/** A tenth of the cases of each property: a mutant is put before it hundreds of times. And instrumented code is slow. */
const fewerCases: Plugin = {
  name: 'fewer cases',
  transform: (code, id) =>
    id.endsWith('.test.ts')
      ? code
          .replace(/numRuns: ([\d_]+)/g, (_all, runs: string) => `numRuns: ${Number(runs.replaceAll('_', '')) / 10}`)
          .replaceAll('process.cpuUsage(before).user / 1e3', 'process.cpuUsage(before).user / 1e4')
      : undefined,
}

/** Here, because Stryker asks for a pool of its own choice on the command line. */
const inWarmPool: Plugin = {
  name: 'warm pool',
  configureVitest({ vitest, project }) {
    vitest.onClose(closeWarmPool)
    project.config.pool = 'warm'
    // A hung test keeps its place; Stryker gives one in all.
    project.config.maxConcurrency = 100
    // memberOrder.ts alone remembers something, whichever mutant it met.
    project.config.poolRunner = warmPool(area !== 'memberOrder')
  },
}

/** Mutants that are not drawn are errors to Stryker, which no score counts. */
const inSample: Plugin = {
  name: 'sample',
  configureVitest({ vitest, project }) {
    const start = vitest.start.bind(vitest)
    vitest.start = async (filters) => {
      const { mode, activeMutant }: { mode?: string; activeMutant?: string } = project.getProvidedContext()
      if (mode !== 'mutant' || isDrawn(process.env.MUTATE_SAMPLE, activeMutant)) return start(filters)
      vitest.state.errorsSet.add(new Error('Not in the sample'))
      return { testModules: [], unhandledErrors: [] }
    }
  },
}

export default defineConfig({
  plugins: [fewerCases, inWarmPool, inSample],
  test: {
    include: [...tests],
    isolate: false,
    maxWorkers: 1,
    sequence: { sequencer: QuickFirst },
    setupFiles: ['test/support/sameCases.ts', ...(inMemory ? ['test/support/idleIsHung.ts'] : [])],
    globalSetup: inMemory ? [] : ['test/support/postgresServer.ts'],
    testTimeout: inMemory ? 120_000 : 20_000,
    hookTimeout: 20_000,
  },
})
