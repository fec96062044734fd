// npm run mutate -- AREA [files...]: changes the code in small ways, one at a time, and looks whether a test notices.
// An area's results are kept in .mutants and only what has changed since is tried again (--force: all of it).
// --share 0.3 --seed 7: of a random sample alone, which says how sure the score is.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { isDrawn } from './mutantSample.mjs'

const areas = {
  operation: 'src/operation/!(memberOrder).ts',
  memberOrder: 'src/operation/memberOrder.ts',
  commands: 'src/commands/**/*.ts',
  postgres: 'src/eventlog/postgres/!(postgresCopy).ts',
  copy: 'src/eventlog/postgres/postgresCopy.ts',
}
const [area, ...rest] = process.argv.slice(2)
if (area === undefined || !Object.hasOwn(areas, area)) {
  process.stderr.write(
    'Usage: npm run mutate -- operation|memberOrder|commands|postgres|copy [files...] [--share N --seed N] [-- Stryker options...]\n',
  )
  process.exit(2)
}
const { values, positionals } = parseArgs({
  args: rest,
  options: { share: { type: 'string' }, seed: { type: 'string', default: '1' } },
  allowPositionals: true,
})
const files = positionals.filter((argument) => argument.startsWith('src/'))
const options = positionals.filter((argument) => !argument.startsWith('src/'))
const sample = values.share === undefined ? undefined : `${values.share}:${values.seed}`
const root = new URL('../', import.meta.url)
const { status } = spawnSync(
  process.execPath,
  [
    'node_modules/@stryker-mutator/core/bin/stryker.js',
    'run',
    '--mutate',
    files.length === 0 ? areas[area] : files.join(','),
    ...options,
  ],
  {
    cwd: fileURLToPath(root),
    stdio: 'inherit',
    env: {
      ...process.env,
      MUTATE_AREA: area,
      ...(sample === undefined ? undefined : { MUTATE_SAMPLE: sample }),
    },
  },
)
if (status === 0) printScore()
process.exit(status ?? 1)

function printScore() {
  const report = JSON.parse(readFileSync(new URL(`.mutants/${area}-report.json`, root), 'utf8'))
  const statuses = Object.values(report.files)
    .flatMap(({ mutants }) => mutants)
    .filter(({ id }) => isDrawn(sample, id))
    .map((mutant) => mutant.status)
  const noticed = statuses.filter((of) => of === 'Killed' || of === 'Timeout').length
  const count = noticed + statuses.filter((of) => of === 'Survived' || of === 'NoCoverage').length
  const [low, high] = interval(noticed / count, count).map(percent)
  process.stdout.write(
    `${area}: ${noticed} of ${count} noticed, ${percent(noticed / count)} (95 %: ${low} to ${high})\n`,
  )
}

/** Wilson's, for a share found in `count` draws. */
function interval(share, count) {
  const z = 1.96
  const middle = share + z ** 2 / (2 * count)
  const half = z * Math.sqrt((share * (1 - share)) / count + z ** 2 / (4 * count ** 2))
  return [middle - half, middle + half].map((end) => end / (1 + z ** 2 / count))
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`
}
