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
  const measured = new Map()
  const measure = async (figure) => {
    const result = judge(figure, await run.measure(figure))
    measured.set(figure, result)
    printFigure(result)
  }
  try {
    if (options.smoke) await inTwoLanes(chosen, measure)
    else for (const figure of chosen) await measure(figure)
  } finally {
    await run.close()
  }
  const results = chosen.map((figure) => measured.get(figure))
  printSummary(results, options)
  const postgres = run.postgresSettings()
  const file = await writeResult({ startedAt, machine: machine(), postgres, options, results })
  process.stdout.write(`\nAll figures: ${file}\n`)
  return results.some(({ error }) => error !== null) ? 1 : 0
}

/** Most of a smoke run is starting processes, so that two at a time take little longer. One folder is filled by one of them. */
async function inTwoLanes(chosen, measure) {
  const others = chosen.filter(({ needsDataset }) => needsDataset !== true)
  const lane = async (figures) => {
    for (const figure of figures) await measure(figure)
    for (let next = others.shift(); next !== undefined; next = others.shift()) await measure(next)
  }
  await Promise.all([lane(chosen.filter(({ needsDataset }) => needsDataset === true)), lane([])])
}

try {
  process.exitCode = await main()
} catch (error) {
  const wrongUsage = error instanceof UsageError
  process.stderr.write(wrongUsage ? `${error.message}\n\n${usage()}` : `${error.stack ?? error}\n`)
  process.exitCode = wrongUsage ? 2 : 1
}
