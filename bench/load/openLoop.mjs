// Open loop: requests go out when they are due, whatever was answered meanwhile, and a latency begins when its request was
// due. A service that stalls is so charged with all that should have been asked during the stall (no coordinated omission).
import { createHistogram } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { arrivals } from './arrivals.mjs'
import { openSockets } from './sockets.mjs'

const drainMsMax = 120_000
const longestUs = 600_000_000

/**
 * @param {{ port: number, perSecond: number, seconds: number, warmupSeconds: number, socketsMax?: number,
 *   request: (n: number) => string, followUp?: (n: number, answer: Buffer) => string | null }} options `followUp`: a request
 *   to send once the n-th was answered, or null; its latency counts from when the n-th was due
 * @returns {Promise<{ sent: number, requests: number, perSecond: number, answered: object, followedUp: object, sentLate: object }>}
 *   milliseconds; `sentLate`: how long after it was due a request was handed to a socket or put in line for one
 */
export async function openLoop(options) {
  const { port, perSecond, seconds, warmupSeconds, socketsMax = 1_000, request, followUp = () => null } = options
  const sockets = openSockets(port, socketsMax)
  const { dueMs, dueBy } = arrivals(perSecond)
  const [warm, total] = [dueBy(warmupSeconds * 1_000), dueBy((warmupSeconds + seconds) * 1_000)]
  const [answered, followedUp, sentLate] = [histogram(), histogram(), histogram()]
  let [sent, open, inTime] = [0, 0, 0]
  let failure = null
  const startedMs = performance.now()
  const sinceDueMs = (n) => performance.now() - startedMs - dueMs(n)
  const endMs = (warmupSeconds + seconds) * 1_000

  const one = async (n) => {
    const answer = await sockets.send(request(n))
    if (n >= warm) {
      record(answered, sinceDueMs(n))
      if (performance.now() - startedMs <= endMs) inTime += 1
    }
    const next = followUp(n, answer)
    if (next === null) return
    await sockets.send(next)
    if (n >= warm) record(followedUp, sinceDueMs(n))
  }
  const fail = (error) => {
    failure ??= error
  }

  while (sent < total && failure === null) {
    const until = Math.min(total, dueBy(performance.now() - startedMs))
    for (; sent < until; sent += 1) {
      if (sent >= warm) record(sentLate, sinceDueMs(sent))
      open += 1
      one(sent)
        .catch(fail)
        .finally(() => {
          open -= 1
        })
    }
    await delay(1)
  }
  const deadlineMs = performance.now() + drainMsMax
  while (open > 0 && failure === null) {
    if (performance.now() > deadlineMs) failure = new Error(`${open} requests were not answered`)
    await delay(5)
  }
  sockets.close()
  if (failure !== null) throw failure
  return {
    sent,
    requests: total - warm,
    perSecond: inTime / seconds,
    answered: percentiles(answered),
    followedUp: percentiles(followedUp),
    sentLate: percentiles(sentLate),
  }
}

/** An HDR histogram, of microseconds. */
function histogram() {
  return createHistogram({ lowest: 1, highest: longestUs, figures: 3 })
}

function record(into, ms) {
  into.record(Math.min(longestUs, Math.max(1, Math.round(ms * 1_000))))
}

function percentiles(of) {
  if (of.count === 0) return null
  const ms = (percentile) => of.percentile(percentile) / 1_000
  return { p50Ms: ms(50), p90Ms: ms(90), p99Ms: ms(99), p999Ms: ms(99.9), maxMs: of.max / 1_000 }
}
