// Runs the commands of docs/operations.md that back up and restore, as they stand there, on a Waybill with its embedded server,
// and looks whether everything is there afterwards: npm run test:backup -- FOLDER. The folder holds psql, pg_dump, pg_restore and
// pg_basebackup of the embedded server's major version or a newer one, which npm does not bring, so CI does not run this.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const page = readFileSync(join(root, 'docs', 'operations.md'), 'utf8')
const tools = process.argv[2] ?? ''
const readyTimeoutMs = 60_000
const processes = new Set()

/** Where `.waybill` and `/backup` of the page are. */
const scratch = mkdtempSync(join(tmpdir(), 'waybill-backup-'))
const variables = {}

function expect(holds, what) {
  if (!holds) throw new Error(`Not so: ${what}`)
  process.stdout.write(`  ok: ${what}\n`)
}

/** The shell blocks below a heading of the page, up to the next heading. */
function blocks(heading) {
  const [, section] = page.split(new RegExp(`^#+ ${heading}$`, 'm'))
  if (section === undefined) throw new Error(`docs/operations.md has no heading ${heading}`)
  return [...section.split(/^#+ /m)[0].matchAll(/^```sh\n(.*?)^```$/gms)].map(([, text]) => text)
}

function block(heading, containing) {
  const found = blocks(heading).filter((text) => text.includes(containing))
  if (found.length !== 1) throw new Error(`${found.length} blocks of ${heading} hold ${containing}`)
  return found[0]
}

/** As somebody would type it, in the folder that holds `.waybill`. */
function run(text, environment = {}) {
  const command = text
    .replaceAll('/backup', join(scratch, 'backup'))
    .replaceAll(
      'npx waybill new-log-id',
      `"${process.execPath}" "${join(root, 'dist', 'cli', 'main.js')}" new-log-id --yes`,
    )
  process.stdout.write(command.replaceAll(/^/gm, '  $ '))
  process.stdout.write('\n')
  // What it exports stays, as in a shell that somebody goes on with.
  const { status, stdout, stderr } = spawnSync('bash', ['-euc', `${command}\nenv | grep ^PG || true`], {
    cwd: scratch,
    encoding: 'utf8',
    // Else bash takes the pipe for a network's, and reads the settings of interactive shells.
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: `${tools}${delimiter}${process.env.PATH}`, ...variables, ...environment },
  })
  if (status !== 0) throw new Error(`It ended with ${status}: ${stderr}`)
  for (const [, name, value] of stdout.matchAll(/^(PG\w+)=(.*)$/gm)) variables[name] = value
  return stdout
}

async function start(environment = {}) {
  const child = spawn(process.execPath, [join(root, 'dist', 'main.js')], {
    cwd: scratch,
    env: { PATH: process.env.PATH, WAYBILL_PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  processes.add(child)
  const ended = new Promise((resolve) => child.on('exit', resolve))
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  const deadline = performance.now() + readyTimeoutMs
  for (;;) {
    const [, url] = /listens on (http:\S+)/.exec(output) ?? []
    if (url !== undefined && (await fetch(`${url}/readyz`)).ok) return service(url, child, ended)
    if (child.exitCode !== null || performance.now() > deadline) throw new Error(`It did not start: ${output}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function service(url, child, ended) {
  const json = async (path, init) => (await fetch(`${url}${path}`, init)).json()
  return {
    json,
    report: (id) =>
      json(`/v1/operations/${id}/reports`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': `key-of-${id}` },
        body: JSON.stringify({ pipeline: 'any', service: 'ocr', status: 'read' }),
      }),
    /** Once the read model shows what is at a position. */
    ids: async (position) =>
      (await json(`/v1/operations?sort=id&minPosition=${position}`)).operations.map(({ id }) => id).join(),
    async stop() {
      child.kill('SIGTERM')
      await ended
      processes.delete(child)
    },
  }
}

/** What a restored Waybill must know: operation `kept`, and not `lost`, whose position is refused. */
async function expectRestored(restored, kept, lost) {
  const again = await restored.report('kept')
  expect(again.revision === kept.revision && again.command === kept.command, 'a key on record gets its first receipt')
  expect((await restored.ids(again.position)) === 'kept', 'the operations are those of the backup')
  expect(
    (await restored.json(`/v1/operations/kept?minPosition=${lost.position}`)).code === 'another_log',
    '410 for what was lost',
  )
  expect((await restored.report('lost')).outcome === 'applied', 'what was lost is taken when it is sent again')
}

async function folder() {
  process.stdout.write('\n== A copy of the folder\n')
  let node = await start()
  const kept = await node.report('kept')
  await node.stop()
  run(block('A copy of the folder', 'cp -a'))
  node = await start({ WAYBILL_DATA_DIR: join(scratch, 'backup', 'waybill') })
  expect((await node.report('kept')).position === kept.position, 'its positions are the same')
  expect((await node.ids(kept.position)) === 'kept', 'the copy serves what was there')
  await node.stop()
  return kept
}

async function dumpOfEmbedded(kept) {
  process.stdout.write('\n== A dump of the embedded server, into a new folder\n')
  const node = await start()
  run(block('A dump', 'PGPORT'))
  const lost = await node.report('lost')
  await node.stop()
  const fresh = await start({ WAYBILL_DATA_DIR: 'fresh' })
  run(block('A dump', 'PGPORT').split('\n').slice(0, 2).join('\n').replaceAll('.waybill', 'fresh'))
  run(block('From a dump', '--clean'))
  await fresh.stop()
  run(block('What a restore loses, and what to do about it', 'new-log-id').replace('"$DATABASE_URL"', 'fresh'))
  const restored = await start({ WAYBILL_DATA_DIR: 'fresh' })
  await expectRestored(restored, kept, lost)
  await restored.stop()
}

async function toAMoment() {
  process.stdout.write('\n== A base backup and the write-ahead log, to a moment\n')
  mkdirSync(join(scratch, 'backup', 'wal'), { mode: 0o777 })
  run('chmod 777 backup backup/wal')
  run(block('A base backup and the write-ahead log', 'archive_command'))
  let node = await start()
  run(block('A dump', 'PGPORT').split('\n').slice(0, 2).join('\n'))
  run(block('A base backup and the write-ahead log', 'pg_basebackup'))
  await node.report('after-the-base')
  const moment = run('psql -Atc "SELECT now()"').split('\n')[0]
  const lost = await node.report('too-late')
  run('psql -qc "SELECT pg_switch_wal()"')
  await node.stop()
  run(block('To a moment', 'recovery.signal').replace(/(?<=recovery_target_time = ')[^']+/, moment))
  run('npx waybill new-log-id --log .waybill')
  node = await start()
  const { position } = await node.report('after-the-base')
  expect(
    (await node.ids(position)) === 'after-the-base,kept,lost',
    'what came after the base backup is there, up to the moment',
  )
  expect(
    (await node.json(`/v1/operations/kept?minPosition=${lost.position}`)).code === 'another_log',
    '410 for what was lost',
  )
  await node.stop()
}

/** A database of an owner without CREATEROLE, on the embedded server of a Waybill that is used for nothing else. */
async function dumpOfDatabase() {
  process.stdout.write('\n== A dump of the database of DATABASE_URL, into another\n')
  const host = await start({ WAYBILL_DATA_DIR: 'host' })
  run(block('A dump', 'PGPORT').split('\n').slice(0, 2).join('\n').replaceAll('.waybill', 'host'))
  run(`psql -qc "CREATE ROLE app LOGIN PASSWORD 'change-me'" -c "CREATE DATABASE app OWNER app" -c "CREATE DATABASE other OWNER app" \\
    -c "GRANT waybill_service TO app"`)
  const url = (database) => `postgres://app:change-me@127.0.0.1:${variables.PGPORT}/${database}`
  let node = await start({ DATABASE_URL: url('app') })
  const kept = await node.report('kept')
  run(block('A dump', 'DATABASE_URL'), { DATABASE_URL: url('app') })
  const lost = await node.report('lost')
  await node.stop()
  run(block('From a dump', 'DATABASE_URL'), { DATABASE_URL: url('other') })
  run(blocks('What a restore loses, and what to do about it')[0], { DATABASE_URL: url('other') })
  node = await start({ DATABASE_URL: url('other') })
  await expectRestored(node, kept, lost)
  await node.stop()
  await host.stop()
}

async function main() {
  if (!existsSync(join(tools, 'pg_dump'))) {
    process.stderr.write('Name a folder that holds psql, pg_dump, pg_restore and pg_basebackup\n')
    return 2
  }
  // PostgreSQL of a run by root belongs to another user, who has to get to its folders.
  run('chmod 755 . && mkdir backup')
  writeFileSync(join(scratch, 'package.json'), '{ "private": true }\n')
  const kept = await folder()
  await dumpOfEmbedded(kept)
  await toAMoment()
  await dumpOfDatabase()
  process.stdout.write('\nAll of it was restored.\n')
  return 0
}

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
} finally {
  for (const child of processes) child.kill('SIGTERM')
  await Promise.all([...processes].map((child) => new Promise((resolve) => child.on('exit', resolve))))
  rmSync(scratch, { recursive: true, force: true, maxRetries: 10 })
}
