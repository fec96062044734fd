// Run by scripts/mutate.mjs (npm run mutate). TypeScript 7 has no API for Stryker's type checker: a mutant that does not
// compile is counted as one that is found or not, like any other.
const area = process.env.MUTATE_AREA ?? 'none'

export default {
  testRunner: 'vitest',
  plugins: ['@stryker-mutator/vitest-runner'],
  vitest: { configFile: 'vitest.mutate.config.ts', related: false },
  coverageAnalysis: 'perTest',
  // Mutants that run once, when a module is loaded, would need all tests each.
  ignoreStatic: true,
  incremental: process.env.MUTATE_SAMPLE === undefined,
  incrementalFile: `.mutants/${area}.json`,
  tempDirName: '.mutants/tmp',
  // Stryker would rewrite it by TypeScript's own parser, which version 7 does not have; nothing here reads it.
  tsconfigFile: 'none',
  ignorePatterns: ['.faults', 'dist', 'docs', 'bench', '.mutants', 'test/faults/results', '*.md'],
  // The events outlive a run that is broken off.
  reporters: ['clear-text', 'json', 'progress-append-only', 'event-recorder'],
  eventReporter: { baseDir: `.mutants/${area}-events` },
  jsonReporter: { fileName: `.mutants/${area}-report.json` },
  clearTextReporter: { allowColor: false, reportTests: false, skipFull: true },
  concurrency: Number(process.env.MUTATE_CONCURRENCY ?? 2),
  // On a busy machine a slow mutant must not be taken for one that never ends.
  timeoutMS: 40_000,
  thresholds: { high: 95, low: 85, break: null },
  allowConsoleColors: false,
}
