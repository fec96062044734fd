// The tests of live streams with real clients, `eventsource` 5.1.5 among them. It needs Node.js 22.12 or newer, which is
// installed with it in a temporary folder where this Node.js is older. `npm test` runs the same tests with the other clients.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const isNewEnough = major > 22 || (major === 22 && minor >= 12)
const folder = mkdtempSync(join(tmpdir(), 'waybill-eventsource5-'))
let status = 1
try {
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  const packages = ['eventsource@5.1.5', ...(isNewEnough ? [] : ['node@22'])]
  // The older npm complains of the engine that is about to be installed.
  const options = ['--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error']
  const install = spawnSync('npm', ['install', ...options, ...packages], { cwd: folder, stdio: 'inherit' })
  if (install.status === 0) {
    const node = isNewEnough ? process.execPath : join(folder, 'node_modules', 'node', 'bin', 'node')
    const tests = ['test/live/clients/clients.test.ts', 'test/nodes/liveClients.test.ts']
    const run = spawnSync(node, ['node_modules/vitest/vitest.mjs', 'run', '--no-file-parallelism', ...tests], {
      stdio: 'inherit',
      env: { ...process.env, EVENTSOURCE5_FOLDER: folder },
    })
    status = run.status ?? 1
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exit(status)
