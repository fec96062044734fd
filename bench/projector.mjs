// Events a second that the projector folds into the read model, alone: reports of 1 kB over operations that take turns.
// First as fast as it can, then at a steady pace, with the processor time of node and of PostgreSQL an event. Needs a build.
//   node bench/projector.mjs [--operations 20000] [--events 200000] [--pace 15000] [--rows N] [--any]
// DATABASE_URL: use this empty database, not an embedded server. --rows: operations that are there before. --any: of pipeline
// `any`, each report with a status of its own.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { decide } from '../dist/operation/decide.js'
import { normaliseDefinition } from '../dist/operation/definition.js'
import { encode, noHash, seal } from '../dist/operation/envelope.js'
import { defaultLimits } from '../dist/operation/limits.js'
import { anyPipeline, compilePipeline } from '../dist/operation/pipeline.js'
import { startEmbeddedPostgres } from '../dist/postgres/embedded.js'
import { createProjections, migrateReadModel } from '../dist/projections/projections.js'
import { reportBodies } from './load/payloads.mjs'
import { processorUs } from './report/processorTime.mjs'

const { values: options } = parseArgs({
  options: {
    operations: { type: 'string', default: '20000' },
    events: { type: 'string', default: '200000' },
    pace: { type: 'string', default: '15000' },
    rows: { type: 'string', default: '0' },
    any: { type: 'boolean', default: false },
  },
})
const operationCount = Number(options.operations)
const eventCount = Number(options.events)
const chunk = 10_000
const pace = Number(options.pace)
const rowsBefore = Number(options.rows)

const statuses = Array.from({ length: 40 }, (_, index) => `status ${index}`)
const pipeline = compilePipeline(
  'invoice',
  1,
  normaliseDefinition({
    outOfOrder: 'reject',
    tracks: {
      main: {
        initial: 'status 0',
        // Round and round, so that an operation takes any number of reports.
        transitions: {
          ...Object.fromEntries(statuses.map((status, index) => [status, [statuses[(index + 1) % 40], 'done']])),
        },
        final: { done: 'succeeded' },
      },
    },
  }).definition,
)

/** A log that gives out what it is fed, and forgets it: the fold is measured, neither the log nor a full heap. */
function createFeed() {
  let wake = () => undefined
  return {
    logId: 'bench',
    events: [],
    /** Position of the last event given out, and of the last one there is. */
    given: 0,
    released: 0,
    last: 0,
    push(event) {
      this.last += 1
      this.events.push({ ...event, position: BigInt(this.last) })
    },
    release(count) {
      this.released = Math.min(this.last, this.released + count)
      wake()
    },
    async head() {
      return BigInt(this.released)
    },
    /** Of interventions only, and there are none. */
    async readStream() {
      return []
    },
    async *subscribe({ maxCount, signal }) {
      signal.addEventListener('abort', () => wake())
      while (!signal.aborted) {
        const count = Math.min(maxCount, this.released - this.given)
        if (count > 0) {
          this.given += count
          yield this.events.splice(0, count)
        } else await new Promise((resolve) => (wake = resolve))
      }
    },
  }
}

const feed = createFeed()
const states = new Map()
const bodies = (await reportBodies()).map((body) => JSON.parse(body))
let commands = 0

function submit(id, body) {
  commands += 1
  const before = states.get(id) ?? null
  const command = { operation: id, key: `k${commands}`, requestHash: 'r'.repeat(43), actor: 'anonymous', body }
  const now = new Date().toISOString()
  const decision = decide(command, {
    state: before,
    pipeline: options.any ? anyPipeline : pipeline,
    now,
    limits: defaultLimits,
  })
  if (decision.kind !== 'accepted') throw new Error(JSON.stringify(decision))
  const { stream, events, state } = encode(before, decision, command.key)
  let revision = before === null ? 0n : before.revision + 1n
  for (const event of events) {
    feed.push({ ...event, stream, revision })
    revision += 1n
  }
  states.set(id, state)
}

function define() {
  const data = JSON.stringify({ version: 1, definition: pipeline.definition })
  const { event } = seal({
    stream: 'pipeline-invoice',
    revision: 0n,
    previousHash: noHash,
    type: 'PipelineDefined',
    data,
    dataBytes: Buffer.byteLength(data),
    recorder: { key: 'define', requestHash: 'r', actor: 'anonymous' },
    keyIndex: 0,
    correlation: 'invoice',
    causation: 'define',
    recordedAt: new Date().toISOString(),
  })
  feed.push({ ...event, stream: 'pipeline-invoice', revision: 0n })
}

const ids = Array.from({ length: operationCount }, (_, index) => `op-${(index * 2_654_435_761) % 2 ** 32}`)
function feedReports(count) {
  for (let index = 0; index < count; index += 1) {
    const id = ids[index % ids.length]
    const { data } = bodies[commands % bodies.length]
    const at = statuses.indexOf(states.get(id).tracks.main.status)
    const status = options.any ? `status of ${commands}` : statuses[(at + 1) % 40]
    submit(id, { type: 'ReportStatus', service: 'intake', status, data })
  }
}

const dataDir = process.env.DATABASE_URL === undefined ? await mkdtemp(join(tmpdir(), 'waybill-bench-')) : null
const server = dataDir === null ? null : await startEmbeddedPostgres({ dataDir })
const connectionString = process.env.DATABASE_URL ?? server.connectionString
const admin = new pg.Client({ connectionString })
try {
  await migrateReadModel(connectionString)
  await admin.connect()
  if (rowsBefore > 0) await fill(rowsBefore)
  const logger = { info: () => undefined, warn: console.warn, error: console.error }
  const { readModel, projector, close } = createProjections({ connectionString, log: feed, logger })
  define()
  const opened = options.any ? 'any' : 'invoice'
  for (const id of ids) submit(id, { type: 'OpenOperation', pipeline: opened, theme: null, metadata: {} })
  projector.start()
  await measure('open, as fast as it can', [() => undefined], readModel, projector)
  const rounds = Array.from({ length: Math.ceil(eventCount / chunk) }, () => () => feedReports(chunk))
  await measure('report, as fast as it can', rounds, readModel, projector)
  await measure(`report, ${pace}/s`, [() => feedReports(pace * 4)], readModel, projector, pace)
  await close()
} finally {
  await admin.end()
  await server?.stop()
  if (dataDir !== null) await rm(dataDir, { recursive: true, force: true })
}

/** Each round feeds events, outside of what is measured, and then lets the projector have them. */
async function measure(name, rounds, readModel, projector, perSecond) {
  const { rows } = await admin.query("SELECT pid FROM pg_stat_activity WHERE application_name = 'waybill projector'")
  const backend = rows[0]?.pid
  const batchesBefore = projector.status().batches
  let [count, seconds, nodeUs, serverUs] = [0, 0, 0, 0]
  for (const round of rounds) {
    round()
    const from = feed.released
    const cpuBefore = process.cpuUsage()
    const serverBefore = backend === undefined ? 0 : await processorUs(backend)
    const started = performance.now()
    if (perSecond === undefined) feed.release(feed.last)
    else await releaseAtPace(perSecond, started)
    if (!(await readModel.waitFor(BigInt(feed.last), 300_000))) throw new Error(projector.status().error ?? 'too slow')
    seconds += (performance.now() - started) / 1_000
    const { user, system } = process.cpuUsage(cpuBefore)
    nodeUs += user + system
    serverUs += backend === undefined ? 0 : (await processorUs(backend)) - serverBefore
    count += feed.last - from
  }
  const batches = projector.status().batches - batchesBefore
  process.stdout.write(
    `${name.padEnd(28)} ${String(count).padStart(7)} events ${String(Math.round(count / seconds)).padStart(7)}/s` +
      `  batch ${String(Math.round(count / batches)).padStart(5)}  node ${(nodeUs / count).toFixed(1)} us` +
      `  PostgreSQL ${(serverUs / count).toFixed(1)} us an event\n`,
  )
}

async function releaseAtPace(perSecond, started) {
  const from = feed.released
  while (feed.released < feed.last) {
    const due = from + Math.floor(((performance.now() - started) / 1_000) * perSecond)
    if (due > feed.released) feed.release(due - feed.released)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** Operations that nobody reports on, as rows, so that the indexes have the size they would. */
async function fill(count) {
  await admin.query(
    `INSERT INTO waybill_read.operations (id, shape, updated_at, opened_at, revision, position, state, data, metadata)
     SELECT 'old-' || md5(n::text), n % 40, 1700000000000 + n, 1700000000000 + n, 5, 0, repeat('x', 700), repeat('y', 1000), '{}'
     FROM generate_series(1, $1::int) n`,
    [count],
  )
  await admin.query('VACUUM ANALYZE waybill_read.operations')
}
