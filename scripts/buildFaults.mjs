// The fault runs and the service as one build of their own, below .faults: `dist` may be in use, and has no tests.
import { spawnSync } from 'node:child_process'
import { cp } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const root = new URL('../', import.meta.url)
const target = new URL('.faults/', root)

const { status } = spawnSync(
  process.execPath,
  ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.faults.json', '--noCheck'],
  { cwd: fileURLToPath(root), stdio: ['ignore', 2, 2] },
)
if (status !== 0) process.exit(1)
// The service reads its version in the file beside its sources, and its migrations among them.
await cp(new URL('package.json', root), new URL('package.json', target))
await cp(new URL('src/', root), new URL('src/', target), {
  recursive: true,
  filter: (source) => !/\.[a-z]+$/.test(source) || source.endsWith('.sql'),
})
