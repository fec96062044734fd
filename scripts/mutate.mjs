// npm run mutate -- AREA [files...]: changes the code in small ways, one at a time, and looks whether a test notices.
// An area's results are kept in .mutants and only what has changed since is tried again (--force: all of it).
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const areas = {
  operation: 'src/operation/**/*.ts',
  commands: 'src/commands/**/*.ts',
  postgres: 'src/eventlog/postgres/!(postgresCopy).ts',
  copy: 'src/eventlog/postgres/postgresCopy.ts',
}
const [area, ...rest] = process.argv.slice(2)
if (area === undefined || !Object.hasOwn(areas, area)) {
  process.stderr.write('Usage: npm run mutate -- operation|commands|postgres|copy [files...] [Stryker options...]\n')
  process.exit(2)
}
const files = rest.filter((argument) => argument.startsWith('src/'))
const options = rest.filter((argument) => !argument.startsWith('src/'))
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
    cwd: fileURLToPath(new URL('../', import.meta.url)),
    stdio: 'inherit',
    env: { ...process.env, MUTATE_AREA: area },
  },
)
process.exit(status ?? 1)
