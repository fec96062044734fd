// How long the read model takes to be rebuilt, from a log in PostgreSQL: reports of 1 kB over operations that take turns.
// First by itself; then while reports keep coming at a steady pace, with how long they take to be seen meanwhile. Needs a
// build.
//   node bench/rebuild.mjs [--operations 20000] [--events 200000] [--pace 2000]
// DATABASE_URL: use this empty database, not an embedded server.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { migrateEventLog } from '../dist/eventlog/postgres/migrateEventLog.js'
import { openPostgresEventLog } from '../dist/eventlog/postgres/postgresEventLog.js'
import { decide } from '../dist/operation/decide.js'
import { encode } from '../dist/operation/envelope.js'
import { defaultLimits } from '../dist/operation/limits.js'
import { anyPipeline } from '../dist/operation/pipeline.js'
import { startEmbeddedPostgres } from '../dist/postgres/embedded.js'
import { createProjections, migrateReadModel } from '../dist/projections/projections.js'
import { reportBodies } from './load/payloads.mjs'

const { values: options } = parseArgs({
  options: {
    operations: { type: 'string', default: '20000' },
    events: { type: 'string', default: '200000' },
    pace: { type: 'string', default: '2000' },
  },
})
const operationCount = Number(options.operations)
const eventCount = Number(options.events)
const pace = Number(options.pace)
const appendCount = 500
const tickMs = 20

const bodies = (await reportBodies()).map((body) => JSON.parse(body))
const states = new Map()
let commands = 0

/** The next report, decided: one operation after the other, round and round. */
function next() {
  const id = `op-${((commands % operationCount) * 2_654_435_761) % 2 ** 32}`
  const { data } = bodies[commands % bodies.length]
  const body = { type: 'ReportStatus', pipeline: 'any', service: 'intake', status: `status ${commands % 7}`, data }
  commands += 1
  const before = states.get(id) ?? null
  const command = { operation: id, key: `k${commands}`, requestHash: 'r'.repeat(43), actor: 'anonymous', body }
  const now = new Date().toISOString()
  const decision = decide(command, { state: before, pipeline: anyPipeline, now, limits: defaultLimits })
  if (decision.kind !== 'accepted') throw new Error(JSON.stringify(decision))
  const { stream, events, state } = encode(before, decision, command.key)
  states.set(id, state)
  return { stream, expectedRevision: before === null ? 'noStream' : before.revision, events }
}

async function append(count) {
  const outcomes = await log.append(Array.from({ length: count }, next))
  const failed = outcomes.find(({ kind }) => kind !== 'appended')
  if (failed !== undefined) throw new Error(JSON.stringify(failed))
  return outcomes.at(-1).position
}

const dataDir = process.env.DATABASE_URL === undefined ? await mkdtemp(join(tmpdir(), 'waybill-bench-')) : null
const server = dataDir === null ? null : await startEmbeddedPostgres({ dataDir })
const connectionString = process.env.DATABASE_URL ?? server.connectionString
const { role } = await migrateEventLog(connectionString)
await migrateReadModel(connectionString)
/** Of the last rebuild: how long the projection stood still for the swap. */
let stoodStillMs = null
const info = (fields) => {
  stoodStillMs = fields.stoodStillMs ?? stoodStillMs
}
const logger = { info, warn: console.warn, error: console.error }
const log = await openPostgresEventLog({
  connectionString,
  role,
  logger: { ...logger, info: () => undefined },
})
const { readModel, projector, close } = createProjections({ connectionString, role, log, logger })
try {
  projector.start()
  let head = 0n
  while (head < BigInt(eventCount)) head = await append(appendCount)
  if (!(await readModel.waitFor(head, 300_000))) throw new Error(projector.status().error ?? 'too slow')

  for (let turn = 0; turn < 2; turn += 1) say('alone', await timed(head))
  let stopped = false
  const delays = []
  const reports = keepReporting(() => stopped, delays)
  say(`with ${pace} reports/s`, await timed(head))
  stopped = true
  await reports
  delays.sort((one, other) => one - other)
  const at = (share) => delays[Math.floor((delays.length - 1) * share)]?.toFixed(0)
  process.stdout.write(`  seen after: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms\n`)
} finally {
  await close()
  await log.close()
  await server?.stop()
  if (dataDir !== null) await rm(dataDir, { recursive: true, force: true })
}

async function timed(head) {
  const before = process.cpuUsage()
  const started = performance.now()
  let rssMax = 0
  const watch = setInterval(() => {
    rssMax = Math.max(rssMax, process.memoryUsage.rss())
  }, 50)
  await projector.rebuild()
  clearInterval(watch)
  const seconds = (performance.now() - started) / 1_000
  const { user, system } = process.cpuUsage(before)
  return { head, seconds, nodeUs: (user + system) / Number(head), rssMax }
}

function say(name, { head, seconds, nodeUs, rssMax }) {
  process.stdout.write(
    `${name.padEnd(22)} ${head} events in ${seconds.toFixed(1)} s, ${Math.round(Number(head) / seconds)}/s, ` +
      `node ${nodeUs.toFixed(1)} us an event, rss up to ${Math.round(rssMax / 2 ** 20)} MiB, ` +
      `stood still for ${stoodStillMs} ms\n`,
  )
}

/** Appends at the pace, and notes how long each append takes to be in the read model. */
async function keepReporting(isStopped, delays) {
  const started = performance.now()
  let sent = 0
  const seen = []
  while (!isStopped()) {
    const due = Math.floor(((performance.now() - started) / 1_000) * pace) - sent
    if (due > 0) {
      const position = await append(Math.min(due, appendCount))
      sent += Math.min(due, appendCount)
      const appendedAt = performance.now()
      seen.push(
        readModel.waitFor(position, 300_000).then(() => {
          delays.push(performance.now() - appendedAt)
        }),
      )
    }
    await new Promise((resolve) => setTimeout(resolve, tickMs))
  }
  await Promise.all(seen)
}
