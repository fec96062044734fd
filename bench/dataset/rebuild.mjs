// A rebuild of the projection, asked for over HTTP, with reads by id at a steady pace as long as it takes.
import { setTimeout as delay } from 'node:timers/promises'
import { openLoop } from '../load/openLoop.mjs'
import { residentBytes } from '../report/memory.mjs'

const pollMs = 100
const longestMs = 3_600_000

/**
 * @param {{ party: object, readPace: number, seconds: number, request: (n: number) => string, say: (text: string) => void }}
 *   options `seconds`: of reads between two looks at their latencies
 * @returns events, seconds, and the most memory in each half of the time
 */
export async function rebuildWhileReading({ party, say, ...reads }) {
  const projection = `${party.url}/v1/projections/operations`
  const events = await party.mark()
  const samples = []
  const startedMs = performance.now()
  const asked = await fetch(`${projection}/rebuild`, {
    method: 'POST',
    headers: { ...party.access, 'content-type': 'application/json' },
    body: '{}',
  })
  if (!asked.ok) throw new Error(`a rebuild was not begun: ${await asked.text()}`)
  let over = false
  const reading = readUntil(() => over, party, reads)
  let toldMs = startedMs
  for (;;) {
    const { state, rebuild } = await (await fetch(projection, { headers: party.access })).json()
    if (state !== 'rebuilding' && rebuild?.endedAt != null) break
    const nowMs = performance.now()
    if (nowMs - startedMs > longestMs) throw new Error('the rebuild did not end')
    if (nowMs - toldMs > 15_000) {
      say(`rebuilding: ${rebuild?.done} of ${rebuild?.total}`)
      toldMs = nowMs
    }
    samples.push(await residentBytes(party.pid))
    await delay(pollMs)
  }
  const seconds = (performance.now() - startedMs) / 1_000
  over = true
  const latencies = await reading
  await party.settle()
  const half = Math.max(1, samples.length >> 1)
  const mostMb = (part) => Math.max(0, ...part) / 1e6
  const [firstHalfMb, lastHalfMb] = [mostMb(samples.slice(0, half)), mostMb(samples.slice(half))]
  return {
    events,
    seconds,
    perSecond: events / seconds,
    firstHalfMb,
    lastHalfMb,
    growthMb: lastHalfMb - firstHalfMb,
    reads: latencies,
  }
}

/** @returns of its runs, the one with the worst p99 */
async function readUntil(isOver, { port }, { readPace, seconds, request }) {
  let worst = null
  do {
    const { answered } = await openLoop({ port, perSecond: readPace, seconds, warmupSeconds: 0, request })
    if (worst === null || answered.p99Ms > worst.p99Ms) worst = answered
  } while (!isOver())
  return worst
}
