import { relative, sep } from 'node:path'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Those that take longest, that first: begun last they would keep one worker busy while the others have nothing left. */
const longest = [
  'test/simulation/simulation.test.ts',
  'test/e2e/service.test.ts',
  'test/postgres/embeddedProcesses.test.ts',
  'test/fuzz/fuzz.test.ts',
  'test/live/clients/clients.test.ts',
  'test/faults/history/plantedBugs.test.ts',
  'test/nodes/anotherHistory.test.ts',
  'test/access/cli.test.ts',
  'test/projections/rebuildSwap.test.ts',
  'test/eventlog/copyLog.test.ts',
  'test/nodes/racingNodes.test.ts',
  'test/nodes/rebuild.test.ts',
  'test/nodes/projectionOrders.test.ts',
  'test/nodes/schemas.test.ts',
  'test/nodes/silentDatabase.test.ts',
  'test/nodes/startUp.test.ts',
  'test/nodes/copyLog.test.ts',
  'test/projections/cli.test.ts',
  'test/demo/program.test.ts',
  'test/processes/sampling.test.ts',
  'test/operation/properties.test.ts',
  'test/faults/history/cleanHistory.test.ts',
  'test/contract/eventLogEventStore.test.ts',
  'test/contract/eventLogPostgres.test.ts',
]

/** The rest as Vitest has it: by how long each took last time, or, in a fresh copy, by the size of the file. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const index = longest.indexOf(relative(import.meta.dirname, moduleId).replaceAll(sep, '/'))
      return index === -1 ? longest.length : index
    }
    return (await super.sort(files)).sort((one, other) => place(one) - place(other))
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // One real PostgreSQL server for the whole run; every test file takes a database of its own from it.
    globalSetup: ['test/support/postgresServer.ts'],
    pool: 'forks',
    // A worker for each file would spend a third of the run on loading the same modules again.
    isolate: false,
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    // Vitest takes a package for a source of its own when `/es/` or `/esm/` is anywhere in its path, also above the checkout.
    // What other packages require of it is then loaded a second time, by Node.
    server: { deps: { external: [/\/node_modules\//] } },
    // Bounds against hanging: how long a test takes on a busy machine says nothing of what it tests.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    passWithNoTests: false,
    allowOnly: false,
  },
})
