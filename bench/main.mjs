// npm run bench: status reports over HTTP, one at a time per connection, against three parties in one interleaved run.
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { chooseLoader, load } from './load.mjs'
import { parties, startParty } from './parties.mjs'
import { reportBodies } from './payloads.mjs'
import { processorUs, processorUsOfTree } from './processorTime.mjs'
import { median, printTable, ratiosOf, summarise } from './summary.mjs'

const usage = `Usage: npm run bench -- [options]

Measures, in one interleaved run (bare, naive, waybill, bare, naive, waybill, ...), how many status reports a second each
takes over HTTP: a bare Fastify route (the ceiling), one UPDATE per report with a pool of 20 (what teams write first), and
Waybill with its projector on. Every report is one that is applied: pipeline \`any\`, a key of its own, 1 kB of real data.

Options
  --quick              smoke run of about a minute (2 rounds of 2 s); its figures mean little
  --rounds N           default 5
  --seconds N          measured part of a turn, default 6
  --warmup N           seconds before it that do not count, default 4
  --connections LIST   default 64,256
  --parties LIST       default ${Object.keys(parties).join(',')}
  --operations N       the reports rotate over so many operations, default 10000
  --loader NAME        wrk or autocannon; default: wrk when installed
  --with-key           Waybill asks for an access key, and every request to every party carries one
  --help

Exit code: 0 measured, 1 failed (an error response is a failure), 2 wrong usage
`

function readOptions() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      warmup: { type: 'string' },
      connections: { type: 'string', default: '64,256' },
      parties: { type: 'string', default: Object.keys(parties).join(',') },
      operations: { type: 'string', default: '10000' },
      loader: { type: 'string' },
      'with-key': { type: 'boolean' },
      help: { type: 'boolean' },
    },
  })
  const number = (text, standard) => {
    const value = Number(text ?? standard)
    if (!Number.isInteger(value) || value < 1) throw new Error(`not a positive integer: ${text}`)
    return value
  }
  const names = values.parties.split(',')
  for (const name of names) if (!Object.hasOwn(parties, name)) throw new Error(`no such party: ${name}`)
  const loader = values.loader ?? chooseLoader()
  if (loader !== 'wrk' && loader !== 'autocannon') throw new Error(`no such loader: ${loader}`)
  return {
    help: values.help ?? false,
    rounds: number(values.rounds, values.quick ? 2 : 5),
    seconds: number(values.seconds, values.quick ? 2 : 6),
    warmupSeconds: number(values.warmup, values.quick ? 1 : 4),
    connections: values.connections.split(',').map((text) => number(text)),
    names,
    operations: number(values.operations),
    loader,
    withKey: values['with-key'] ?? false,
  }
}

/** One turn of one party: warm-up, then the measured part, then the time it takes until all is read as well. */
async function takeTurn(party, connections, server, options, common) {
  const keyPrefix = `${party.name}-${connections}-${common.nextTurn()}`
  const base = {
    loader: options.loader,
    port: party.port,
    connections,
    operations: options.operations,
    apiKey: common.apiKey,
    ...common.bodies,
  }
  await load({ ...base, seconds: options.warmupSeconds, keyPrefix: `${keyPrefix}-warm` })
  await party.settle()
  const before = { node: await processorUs(party.pid), postgres: await processorUsOfTree(server.pid) }
  const recordedBefore = await party.recorded()
  const result = await load({ ...base, seconds: options.seconds, keyPrefix })
  const acknowledgedAt = performance.now()
  await party.settle()
  const behindMs = performance.now() - acknowledgedAt
  const after = { node: await processorUs(party.pid), postgres: await processorUsOfTree(server.pid) }
  const recordedAfter = await party.recorded()
  if (recordedAfter !== null) checkRecorded(party, recordedAfter - recordedBefore, result.requests, connections)
  const each = (end, start) => (end === null || start === null ? null : (end - start) / result.requests)
  return {
    party: party.name,
    connections,
    ...result,
    behindMs,
    nodeUs: each(after.node, before.node),
    postgresUs: party.name === 'bare' ? null : each(after.postgres, before.postgres),
  }
}

/**
 * No figure counts unless the store holds each acknowledged report. It may hold those too that were under way, one a
 * connection, when the load was cut off: at the end of the warm-up and of the measured part.
 */
function checkRecorded(party, recorded, acknowledged, connections) {
  if (recorded < acknowledged || recorded > acknowledged + 2 * connections) {
    throw new Error(`${party.title}: ${acknowledged} reports were acknowledged, ${recorded} are in the store`)
  }
}

async function bench(options) {
  const scratch = await mkdtemp(join(tmpdir(), 'waybill-bench-'))
  const { startEmbeddedPostgres } = await import('../dist/postgres/embedded.js')
  const server = await startEmbeddedPostgres({ dataDir: join(scratch, 'postgres') })
  const started = []
  try {
    const bodies = await reportBodies()
    const bodiesFile = join(scratch, 'bodies')
    await writeFile(bodiesFile, bodies.join('\n'))
    let turn = 0
    const nextTurn = () => {
      turn += 1
      return turn
    }
    const apiKey = options.withKey ? randomBytes(32).toString('hex') : null
    const common = { bodies: { bodies, bodiesFile }, nextTurn, apiKey }
    for (const name of options.names) started.push(await startParty(name, server, options.operations, apiKey))
    const sizes = bodies.map((body) => Buffer.byteLength(body))
    process.stderr.write(
      `${options.rounds} rounds of ${options.warmupSeconds} + ${options.seconds} s a party with ${options.loader}, ${options.operations} operations, reports of ${median(sizes)} bytes, ${cpus().length} processors, Node ${process.version}\n`,
    )
    const turns = []
    for (const connections of options.connections) {
      for (let round = 1; round <= options.rounds; round += 1) {
        for (const party of started) {
          const result = await takeTurn(party, connections, server, options, common)
          turns.push(result)
          process.stderr.write(
            `  ${connections} connections, round ${round} of ${options.rounds}, ${party.title}: ${Math.round(result.perSecond)}/s\n`,
          )
        }
      }
    }
    return turns
  } finally {
    for (const party of started) await party.stop()
    await server.stop()
    await rm(scratch, { recursive: true, force: true })
  }
}

async function main() {
  let options
  try {
    options = readOptions()
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${usage}`)
    return 2
  }
  if (options.help) {
    process.stdout.write(usage)
    return 0
  }
  const startedAt = new Date().toISOString()
  const turns = await bench(options)
  const summaries = summarise(turns)
  const ratios = ratiosOf(turns)
  printTable(summaries, ratios, parties)
  const { help: _, ...settings } = options
  const directory = fileURLToPath(new URL('results', import.meta.url))
  await mkdir(directory, { recursive: true })
  const file = join(directory, `${startedAt.replaceAll(':', '-')}.json`)
  const machine = {
    processors: cpus().length,
    model: cpus()[0]?.model,
    node: process.version,
    platform: process.platform,
  }
  await writeFile(file, JSON.stringify({ startedAt, machine, settings, summaries, ratios, turns }, null, 2))
  process.stdout.write(`\nAll figures: bench/results/${file.slice(directory.length + 1)}\nOne figure alone:\n`)
  for (const connections of options.connections) {
    for (const name of options.names) {
      process.stdout.write(`  npm run bench -- --parties ${name} --connections ${connections}\n`)
    }
  }
  return 0
}

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`${error.stack ?? error}\n`)
  process.exitCode = 1
}
