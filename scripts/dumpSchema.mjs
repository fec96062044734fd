// Keeps what a landed schema looked like, for test/nodes/schemas.test.ts: `npm run build && node scripts/dumpSchema.mjs`.
//   structure.txt            what all migrations make together; written anew each time
//   <room>-<n>_<room>-<n>/   of each state of the schema that landed, with data made over HTTP by the version of then:
//     dump.sql               to be loaded into an empty database
//     answers.json           what GET answered
// A state that is kept is never written again; --replace is for one that has not landed.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { makeSampleData } from './sampleData.mjs'
import { dumpLedger, dumpRows, dumpStructure } from './sqlDump.mjs'

const root = new URL('../', import.meta.url)
const { values } = parseArgs({
  options: {
    replace: { type: 'boolean', default: false },
    dist: { type: 'string', default: fileURLToPath(new URL('dist', root)) },
  },
})
const built = (file) => import(pathToFileURL(join(values.dist, file)).href)
const { startEmbeddedPostgres } = await built('postgres/embedded.js')
const { startService } = await built('service.js')
const { readConfig } = await built('config.js')

const schemas = new URL('test/nodes/schemas/', root)
const quiet = () => undefined
const logger = { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet, fatal: quiet }

/** The migrator makes the role before the first migration. */
const roleText = `-- Made by scripts/dumpSchema.mjs; not to be changed by hand.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'waybill_service') THEN
    CREATE ROLE waybill_service NOLOGIN;
  END IF;
END
$$;
`

const scratch = await mkdtemp(join(tmpdir(), 'waybill-schema-'))
const server = await startEmbeddedPostgres({ dataDir: scratch })
try {
  const config = readConfig({ DATABASE_URL: server.connectionString, WAYBILL_PORT: '0' })
  const service = await startService({ config, logger })
  const answers = await makeSampleData(service.url)
  await service.stop()
  const client = new pg.Client({ connectionString: server.connectionString })
  client.on('error', quiet)
  await client.connect()
  await mkdir(schemas, { recursive: true })
  await writeFile(new URL('structure.txt', schemas), await dumpStructure(client))
  await keepState(client, answers)
  await client.end()
} finally {
  await server.stop()
  await rm(scratch, { recursive: true, force: true })
}

async function keepState(client, answers) {
  const { rows: ledger } = await client.query('SELECT room, number, name FROM waybill.migrations ORDER BY room, number')
  const newest = new Map(ledger.map(({ room, number }) => [room, number]))
  const name = [...newest].map(([room, number]) => `${room}-${number}`).join('_')
  const folder = new URL(`${name}/`, schemas)
  if (existsSync(folder) && !values.replace) {
    process.stdout.write(`structure.txt written; ${name} is kept already\n`)
    return
  }
  const migrations = await Promise.all(ledger.map(({ room, name: file }) => migrationText(room, file)))
  const parts = [
    roleText,
    ...migrations,
    // Grants name it.
    await dumpLedger(client),
    // The migrator runs them after a room's migrations.
    ...(await grantsTexts()),
    // The answers of GET hold positions and hashes: the log stays the one it was.
    await dumpRows(client),
  ]
  await mkdir(folder, { recursive: true })
  await writeFile(new URL('dump.sql', folder), parts.join('\n'))
  const answersFile = fileURLToPath(new URL('answers.json', folder))
  await writeFile(answersFile, JSON.stringify(answers))
  spawnSync(fileURLToPath(new URL('node_modules/.bin/biome', root)), ['format', '--write', answersFile])
  process.stdout.write(`structure.txt and ${name} written\n`)
}

async function grantsTexts() {
  const folders = await readdir(values.dist, { recursive: true })
  const files = folders.filter((path) => path.endsWith('grants.sql')).sort()
  return Promise.all(files.map((path) => readFile(join(values.dist, path), 'utf8')))
}

async function migrationText(room, file) {
  const folders = await readdir(values.dist, { recursive: true })
  const path = folders.find((candidate) => candidate.endsWith(`${file}.sql`) && candidate.includes(room))
  if (path === undefined) throw new Error(`no migration ${file} of ${room} below ${values.dist}`)
  return `-- ${room} ${file}\n${await readFile(join(values.dist, path), 'utf8')}`
}
