import { defineConfig } from 'vitest/config'

/** The tests that mutants of an area are put before (scripts/mutate.mjs names it). */
const tests: Readonly<Record<string, readonly string[]>> = {
  operation: ['test/operation/**/*.test.ts'],
  commands: ['test/commands/**/*.test.ts', 'test/operation/envelope.test.ts'],
  postgres: ['test/eventlog/**/*.test.ts', 'test/contract/eventLogPostgres.test.ts'],
}
const area = process.env.MUTATE_AREA ?? ''

export default defineConfig({
  test: {
    include: [...(tests[area] ?? [])],
    exclude: area === 'commands' ? ['test/commands/postgresLog.test.ts'] : [],
    setupFiles: ['test/support/shortProperties.ts'],
    globalSetup: area === 'postgres' ? ['test/support/postgresServer.ts'] : [],
    testTimeout: 20_000,
    hookTimeout: 60_000,
  },
})
