// Open loop: requests go out when they are due, whatever was answered meanwhile, and a latency begins when its request was
// due. A service that stalls is so charged with all that should have been asked during the stall (no coordinated omission).
import { setTimeout as delay } from 'node:timers/promises'
import { arrivals } from './arrivals.mjs'
import { createLatencies } from './latencies.mjs'
import { openSockets } from './sockets.mjs'

const drainMsMax = 120_000

/**
 * @param {{ port: number, perSecond: number, seconds: number, warmupSeconds: number, socketsMax?: number,
 *   request: (n: number) => string, followUp?: (n: number, answer: Buffer) => string | null }} options `followUp`: a request
 *   to send once the n-th was answered, or null; its latency counts from when the n-th was due
 * @returns {Promise<{ sent: number, accepted: number, perSecond: number, answered: object, followedUp: object,
 *   sentLate: object }>} `sent`, and `accepted` of them with 2xx, warm-up included; `perSecond`: accepted before the end;
 *   `sentLate`: how long after it was due a request was handed to a socket, or put in line for one
 */
export async function openLoop(options) {
  const { port, perSecond, seconds, warmupSeconds, socketsMax = 1_000, request, followUp = () => null } = options
  const sockets = openSockets(port, socketsMax)
  const { dueMs, dueBy } = arrivals(perSecond)
  const [warm, total] = [dueBy(warmupSeconds * 1_000), dueBy((warmupSeconds + seconds) * 1_000)]
  const [answered, followedUp, sentLate] = [createLatencies(), createLatencies(), createLatencies()]
  let [sent, open, accepted, inTime] = [0, 0, 0, 0]
  let failure = null
  const startedMs = performance.now()
  const sinceDueMs = (n) => performance.now() - startedMs - dueMs(n)
  const endMs = (warmupSeconds + seconds) * 1_000

  /** Settles with the answer, or with null when the service refused it as too much; that counts as never answered. */
  const ask = async (n, text, latencies) => {
    try {
      const answer = await sockets.send(text)
      if (n >= warm) latencies.record(sinceDueMs(n))
      return answer
    } catch (error) {
      if (error.isRefusal !== true) throw error
      if (n >= warm) latencies.refuse()
      return null
    }
  }
  const one = async (n) => {
    const answer = await ask(n, request(n), answered)
    if (answer === null) return
    accepted += 1
    if (n >= warm && performance.now() - startedMs <= endMs) inTime += 1
    const next = followUp(n, answer)
    if (next !== null) await ask(n, next, followedUp)
  }
  const fail = (error) => {
    failure ??= error
  }

  while (sent < total && failure === null) {
    const until = Math.min(total, dueBy(performance.now() - startedMs))
    for (; sent < until; sent += 1) {
      if (sent >= warm) sentLate.record(sinceDueMs(sent))
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
    accepted,
    perSecond: inTime / seconds,
    answered: answered.summary(),
    followedUp: followedUp.summary(),
    sentLate: sentLate.summary(),
  }
}
