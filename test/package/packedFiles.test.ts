// What `npm pack` takes. The folder has the names of a build with all its by-products, and what else lies about in a clone.
// `npm run test:package` makes the real package from a fresh clone, installs it and runs it.
import { spawnSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
const beside = [
  '.env',
  '.waybill/password',
  'CHANGELOG.md',
  'Dockerfile',
  'bench/main.mjs',
  'dist/.tsbuildinfo',
  'docs/access.md',
  'operator.key',
  'package-lock.json',
  'scripts/copyAssets.mjs',
  'src/main.ts',
  'test/package/packedFiles.test.ts',
  'waybill-0.1.0.tgz',
]

test('the package holds what runs, the types of the client, and nothing else', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'waybill-pack-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  for (const name of ['package.json', 'README.md', 'LICENSE', '.gitignore'])
    await cp(join(root, name), join(folder, name))
  const sources = (await readdir(join(root, 'src'), { recursive: true })).map((path) => path.replaceAll('\\', '/'))
  const modules = sources.filter((path) => path.endsWith('.ts')).map((path) => path.replace(/\.ts$/, ''))
  const migrations = sources.filter((path) => path.endsWith('.sql'))
  const built = [...modules.flatMap((name) => ['.js', '.js.map', '.d.ts'].map((end) => name + end)), ...migrations]
  for (const path of [...built.map((name) => `dist/${name}`), ...beside]) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), 'x')
  }

  const { stdout, stderr, status } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: folder,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  })
  expect(status, stderr).toBe(0)
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }]

  // The demo needs packages that are for development only.
  const runs = [...modules.map((name) => `${name}.js`), ...migrations].filter((path) => !path.startsWith('demo/'))
  const types = modules.filter((name) => name.startsWith('client/')).map((name) => `${name}.d.ts`)
  const expected = ['LICENSE', 'README.md', 'package.json', ...[...runs, ...types].map((path) => `dist/${path}`)]
  expect(files.map(({ path }) => path).sort()).toEqual(expected.sort())
  expect(migrations.length).toBeGreaterThan(10)
})
