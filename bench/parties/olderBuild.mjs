// An older commit of this repository, built beside today's: what it costs a report is measured in the same run.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const builds = new URL('../../node_modules/.cache/waybill-bench/', import.meta.url)

/**
 * Builds it below node_modules/.cache, once: `npm ci` and `npm run build` as they were then. Throws when Git does not know the commit
 * or when it does not build.
 * @returns what `startParty` takes as `older`
 */
export async function buildOlder(commit, say) {
  const sha = run('git', ['rev-parse', '--verify', '--end-of-options', `${commit}^{commit}`], root).trim()
  const folder = fileURLToPath(new URL(sha, builds))
  if (!existsSync(folder)) {
    say(`building ${sha.slice(0, 7)}`)
    const unfinished = `${folder}.unfinished`
    await rm(unfinished, { recursive: true, force: true })
    await mkdir(unfinished, { recursive: true })
    const archive = `${unfinished}/source.tar`
    run('git', ['archive', `--output=${archive}`, sha], root)
    run('tar', ['-xf', archive], unfinished)
    run('npm', ['ci', '--no-audit', '--no-fund'], unfinished)
    run('npm', ['run', 'build'], unfinished)
    await rename(unfinished, folder)
  }
  return { title: `commit ${sha.slice(0, 7)}`, script: pathToFileURL(`${folder}/dist/main.js`).href }
}

function run(command, args, folder) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr}`)
  return stdout
}
