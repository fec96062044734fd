import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
let parent = ''
afterEach(() => rmSync(parent, { recursive: true, force: true }))

/** A checkout below a folder of that name, whose test meets one package by itself and through another one. */
function makeCheckout(folder: string): string {
  parent = realpathSync(mkdtempSync(join(tmpdir(), 'waybill-checkout-')))
  const checkout = join(parent, folder, 'checkout')
  const files = {
    'package.json': '{"type":"module"}',
    'node_modules/once/package.json': '{"name":"once","main":"index.js"}',
    'node_modules/once/index.js': 'exports.thing = class Thing {}',
    'node_modules/other/package.json': '{"name":"other","main":"index.js"}',
    'node_modules/other/index.js': "exports.thing = require('once').thing",
    'once.test.ts': [
      "import once from 'once'",
      "import other from 'other'",
      "it('is loaded once', () => expect(other.thing).toBe(once.thing))",
    ].join('\n'),
    'vitest.config.ts': [
      `import project from '${join(root, 'vitest.config.ts')}'`,
      'export default { test: { globals: true, server: project.test.server } }',
    ].join('\n'),
  }
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(checkout, name)), { recursive: true })
    writeFileSync(join(checkout, name), text)
  }
  return checkout
}

it.each(['es', 'esm', 'plain'])('the tests load a package once in a checkout below a folder named %s', (folder) => {
  const checkout = makeCheckout(folder)
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const run = spawnSync(process.execPath, [vitest, 'run', '--root', checkout], { cwd: checkout, encoding: 'utf8' })
  expect(run.status, run.stdout + run.stderr).toBe(0)
})
