import { defineConfig } from 'vitest/config'

/** The tests that mutants of an area are put before (scripts/mutate.mjs names it). */
const tests: Readonly<Record<string, readonly string[]>> = {
  operation: ['test/operation/**/*.test.ts'],
  commands: ['test/commands/**/*.test.ts', 'test/operation/envelope.test.ts'],
  postgres: ['test/eventlog/**/*.test.ts', 'test/contract/eventLogPostgres.test.ts'],
}
/** Left out: seconds a mutant. What survives is put before them by hand. */
const slow: Readonly<Record<string, readonly string[]>> = {
  operation: ['test/operation/properties.test.ts', 'test/operation/eventsDoc.test.ts'],
  commands: [
    'test/commands/postgresLog.test.ts',
    'test/commands/overload.test.ts',
    'test/commands/racingNodes.test.ts',
  ],
}
const area = process.env.MUTATE_AREA ?? ''

/** A tenth of the cases of each property: a mutant is put before it hundreds of times. */
const fewerCases = {
  name: 'fewer cases',
  transform: (code: string, id: string): string | undefined =>
    id.endsWith('.test.ts')
      ? code.replace(/numRuns: ([\d_]+)/g, (_all, runs: string) => `numRuns: ${Number(runs.replaceAll('_', '')) / 10}`)
      : undefined,
}

export default defineConfig({
  plugins: [fewerCases],
  test: {
    include: [...(tests[area] ?? [])],
    exclude: [...(slow[area] ?? [])],
    setupFiles: ['test/support/sameCases.ts'],
    globalSetup: area === 'postgres' ? ['test/support/postgresServer.ts'] : [],
    testTimeout: 20_000,
    hookTimeout: 60_000,
  },
})
