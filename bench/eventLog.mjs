// Events a second through the event log's port, by batch size: 1 KB of data an event, two batches in flight, and either
// streams that go on (20,000 of them) or a new stream for each event. Needs a build.
//   node bench/eventLog.mjs [seconds per line, default 2]     DATABASE_URL: use this empty database, not an embedded server
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrateEventLog } from '../dist/eventlog/postgres/migrateEventLog.js'
import { openPostgresEventLog } from '../dist/eventlog/postgres/postgresEventLog.js'
import { startEmbeddedPostgres } from '../dist/postgres/embedded.js'

const randomText = randomBytes(600).toString('hex')
const secondsMax = Number(process.argv[2] ?? 2)
const streamCount = 20_000
const batchSizes = [1, 8, 32, 128, 512, 1_000, 2_000]

const dataDir = process.env.DATABASE_URL === undefined ? await mkdtemp(join(tmpdir(), 'waybill-bench-')) : null
const server = dataDir === null ? null : await startEmbeddedPostgres({ dataDir })
const connectionString = process.env.DATABASE_URL ?? server.connectionString

try {
  await migrateEventLog(connectionString)
  const log = await openPostgresEventLog({ connectionString })
  process.stdout.write('streams   batch  events/s  us/event\n')
  await measure(log, 'new', 256, 1)
  for (const kind of ['going on', 'new']) {
    for (const size of batchSizes) {
      const rate = await measure(log, kind, size, secondsMax)
      process.stdout.write(
        `${kind.padEnd(9)} ${String(size).padStart(5)}  ${String(Math.round(rate)).padStart(8)}  ${(1e6 / rate).toFixed(1).padStart(8)}\n`,
      )
    }
  }
  await readBack(log)
  await log.close()
} finally {
  await server?.stop()
  if (dataDir !== null) await rm(dataDir, { recursive: true, force: true })
}

async function measure(log, kind, size, seconds) {
  const run = randomBytes(4).toString('hex')
  const revisions = new Map()
  const streams = kind === 'new' ? null : Array.from({ length: streamCount }, (_, index) => `operation-${run}-${index}`)
  if (streams !== null) {
    for (let at = 0; at < streamCount; at += 1_000) {
      const batch = streams.slice(at, at + 1_000).map((stream) => request(stream, 'noStream'))
      expectAppended(await log.append(batch))
    }
    for (const stream of streams) revisions.set(stream, 0n)
  }
  let next = 0
  const nextRequest = () => {
    next += 1
    if (streams === null) return request(`operation-${run}-${next}`, 'noStream')
    const stream = streams[next % streamCount]
    const revision = revisions.get(stream)
    revisions.set(stream, revision + 1n)
    return request(stream, revision)
  }
  let appended = 0
  const started = performance.now()
  const untilMs = started + seconds * 1_000
  // A batch of 2,000 shares no stream with the next: 20,000 streams take turns.
  const writer = async () => {
    while (performance.now() < untilMs) {
      const batch = Array.from({ length: size }, nextRequest)
      expectAppended(await log.append(batch))
      appended += size
    }
  }
  await Promise.all([writer(), writer()])
  return appended / ((performance.now() - started) / 1_000)
}

async function readBack(log) {
  const started = performance.now()
  let position = 0n
  let count = 0
  for (;;) {
    const events = await log.readAll({ after: position, maxCount: 5_000 })
    if (events.length === 0) break
    position = events.at(-1).position
    count += events.length
    if (performance.now() - started > 5_000) break
  }
  process.stdout.write(
    `read      5000  ${String(Math.round(count / ((performance.now() - started) / 1_000))).padStart(8)}\n`,
  )
}

function request(stream, expectedRevision) {
  const data = `{"service":"ocr","track":"main","text":"${randomText.slice(0, 700)}"}`
  const metadata = `{"command":"${stream}","actor":"anonymous","schemaVersion":1,"hash":"${randomText.slice(0, 200)}"}`
  return { stream, expectedRevision, events: [{ id: randomUUID(), type: 'StatusChanged', data, metadata }] }
}

function expectAppended(outcomes) {
  for (const outcome of outcomes) {
    if (outcome.kind !== 'appended') throw new Error(`an append came back as ${JSON.stringify(outcome.kind)}`)
  }
}
