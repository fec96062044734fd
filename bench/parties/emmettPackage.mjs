// Emmett's peers conflict with ours, so it lives in a package of its own (bench/emmett), installed when it is missing.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../emmett', import.meta.url))

/** @returns {string | null} why it cannot be had, or null */
export function installEmmett() {
  if (existsSync(`${folder}/node_modules/@event-driven-io/emmett-postgresql`)) return null
  process.stderr.write('  port: installing Emmett (npm ci in bench/emmett; once)\n')
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  const { status, stderr, error } = spawnSync(npm, ['ci', '--no-audit', '--no-fund'], { cwd: folder, encoding: 'utf8' })
  if (status === 0) return null
  return `Emmett could not be installed: ${error?.message ?? stderr.trim().split('\n').slice(0, 3).join(' ')}`
}
