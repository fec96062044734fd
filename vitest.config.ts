import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // One real PostgreSQL server for the whole run; every test file takes a database of its own from it.
    globalSetup: ['test/support/postgresServer.ts'],
    pool: 'forks',
    // A worker for each file would spend a third of the run on loading the same modules again.
    isolate: false,
    maxWorkers: 3,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    passWithNoTests: false,
    allowOnly: false,
  },
})
