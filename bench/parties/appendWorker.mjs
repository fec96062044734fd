// A process for each party of the figure `port`: it appends when it is told to, so many callers at once, each to a stream
// of its own at the revision it knows, one event an append.
import { createHistogram } from 'node:perf_hooks'
import { reportBodies } from '../load/payloads.mjs'

const { module, ...options } = JSON.parse(process.argv[2])
const { openAppender } = await import(new URL(module, import.meta.url))
const appender = await openAppender(options)
const reports = (await reportBodies()).map((body) => JSON.parse(body))
const run = `bench-${process.pid}-${Date.now()}`
const revisions = []
let [appended, commands] = [0, 0]

/** About what a report's metadata weighs in Waybill. */
function nextEvent() {
  commands += 1
  const metadata = {
    command: `${run}-${commands}`,
    requestHash: 'r'.repeat(43),
    actor: 'bench',
    schemaVersion: 1,
    recordedAt: new Date().toISOString(),
    previousHash: 'h'.repeat(64),
    hash: 'h'.repeat(64),
  }
  return { type: 'StatusChanged', data: reports[commands % reports.length], metadata }
}

async function appendFor({ callers, seconds }) {
  const latencies = createHistogram()
  const endMs = performance.now() + seconds * 1_000
  let inTime = 0
  const caller = async (n) => {
    for (;;) {
      const startedMs = performance.now()
      if (startedMs >= endMs) return
      revisions[n] = await appender.append(`${run}-${n}`, revisions[n] ?? null, nextEvent())
      const nowMs = performance.now()
      latencies.record(Math.max(1, Math.round((nowMs - startedMs) * 1_000)))
      appended += 1
      if (nowMs <= endMs) inTime += 1
    }
  }
  const before = process.cpuUsage()
  await Promise.all(Array.from({ length: callers }, (_, n) => caller(n)))
  const { user, system } = process.cpuUsage(before)
  const ms = (percentile) => latencies.percentile(percentile) / 1_000
  return { perSecond: inTime / seconds, p50Ms: ms(50), p99Ms: ms(99), nodeUs: (user + system) / latencies.count }
}

process.on('message', async (order) => {
  if (order === 'close') {
    const count = await appender.count()
    await appender.close()
    process.send({ appended, count })
    process.disconnect()
  } else process.send(await appendFor(order))
})
process.send('ready')
