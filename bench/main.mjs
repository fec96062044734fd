// npm run bench: the product's own benchmark. Each figure is a file in figures/; what it must reach stands there.
import { figures } from './figures/figures.mjs'
import { readOptions, UsageError, usage } from './options.mjs'
import { printFigure, printSummary } from './report/print.mjs'
import { machine, writeResult } from './report/resultFile.mjs'
import { judge } from './report/verdicts.mjs'
import { createBench } from './run.mjs'

async function main() {
  const options = readOptions(process.argv.slice(2))
  if (options.help) {
    process.stdout.write(usage())
    return 0
  }
  const startedAt = new Date().toISOString()
  const chosen = figures.filter(({ name }) => options.names.includes(name))
  const run = await createBench(options)
  const results = []
  try {
    for (const figure of chosen) {
      const result = judge(figure, await run.measure(figure))
      results.push(result)
      printFigure(result)
    }
  } finally {
    await run.close()
  }
  printSummary(results, options)
  const postgres = run.postgresSettings()
  const file = await writeResult({ startedAt, machine: machine(), postgres, options, results })
  process.stdout.write(`\nAll figures: ${file}\n`)
  return results.some(({ error }) => error !== null) ? 1 : 0
}

try {
  process.exitCode = await main()
} catch (error) {
  const wrongUsage = error instanceof UsageError
  process.stderr.write(wrongUsage ? `${error.message}\n\n${usage()}` : `${error.stack ?? error}\n`)
  process.exitCode = wrongUsage ? 2 : 1
}
