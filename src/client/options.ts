import { isReadableOnItsWay } from '../runtime/loopback.ts'
import { type Clock, systemClock } from './clock.ts'
import type { QueueLimits } from './commandQueue.ts'
import type { WaybillError } from './errors.ts'
import type { Timing } from './retry.ts'
import type { TransportOptions } from './transport.ts'

export interface ClientOptions {
  /** Where the service is, such as `http://localhost:8080`; a path before `/v1` is kept. */
  baseUrl: string
  /** Sent as `Authorization: Bearer`. */
  apiKey?: string
  /** Sent with every request. */
  headers?: Readonly<Record<string, string>>
  /**
   * How commands are sent together. `false`: each in a request of its own, at most `requestsMax` (64) at once.
   */
  batching?: false | BatchingOptions
  /** Requests with commands under way at once. Default 2, or 64 without batching. */
  requestsMax?: number
  /** Commands without an answer that the client holds; more are refused with WaybillQueueFull. Default 10,000. */
  queueLinesMax?: number
  /** The same in characters of JSON. Default 64 Mi. */
  queueBytesMax?: number
  /** How often a call is sent at most. Default 12. */
  attemptsMax?: number
  /** For a call as a whole, waits and retries included. Default 60,000. */
  timeoutMs?: number
  /** How long one attempt waits for an answer; of a bulk request, for the next result. Default 20,000. */
  attemptTimeoutMs?: number
  /** The longest wait before the second attempt, doubled for each one after. Default 50. */
  backOffMsBase?: number
  /** The longest wait between two attempts. Default 5,000. */
  backOffMsMax?: number
  /** A live stream without a byte for so long is taken for dead and opened again. Default 45,000. */
  silenceMsMax?: number
  /** Told of each attempt that failed and is made again, as it is: for logs and counts. A live stream's too. */
  onRetry?: (error: WaybillError) => void
  /** For tests. */
  clock?: Clock
  /** For tests: from 0 to 1, exclusive. */
  random?: () => number
}

export interface BatchingOptions {
  /** Commands in one request. Default 500. */
  linesMax?: number
  /** Characters of JSON in one request; one command may be larger. Default 1 Mi. */
  bytesMax?: number
}

export interface Settings extends TransportOptions {
  readonly limits: QueueLimits
  readonly timing: Timing
  readonly silenceMsMax: number
}

const mebi = 1024 * 1024

/** Throws TypeError for what makes no sense. */
export function settingsOf(options: ClientOptions): Settings {
  const { batching = {}, apiKey, onRetry, clock = systemClock, random = Math.random } = options
  const url = new URL(options.baseUrl)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new TypeError('baseUrl is not an HTTP address')
  if (url.search !== '' || url.hash !== '') throw new TypeError('baseUrl must end with its path')
  const { linesMax = 500, bytesMax = mebi } = batching === false ? { linesMax: 1, bytesMax: 1 } : batching
  const { requestsMax = batching === false ? 64 : 2, queueLinesMax = 10_000, queueBytesMax = 64 * mebi } = options
  const { attemptsMax = 12, timeoutMs = 60_000, backOffMsBase = 50, backOffMsMax = 5_000 } = options
  const { attemptTimeoutMs = 20_000, silenceMsMax = 45_000 } = options
  const limits = { linesMax, bytesMax, requestsMax, queueLinesMax, queueBytesMax }
  const retry = { attemptsMax, timeoutMs, backOffMsBase, backOffMsMax }
  for (const [name, value] of Object.entries({ ...limits, ...retry, attemptTimeoutMs, silenceMsMax })) {
    if (!(value > 0)) throw new TypeError(`${name} must be more than 0`)
  }
  const headers = { ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }), ...options.headers }
  if (hasKey(headers)) warnOfReadableKey(url)
  return {
    baseUrl: withoutSlashes(url.href),
    headers,
    clock,
    silenceMsMax,
    limits,
    timing: {
      clock,
      random,
      attemptTimeoutMs,
      retry,
      // Beside what the client does, so that what it throws breaks nothing.
      ...(onRetry === undefined ? {} : { onRetry: (error) => queueMicrotask(() => onRetry(error)) }),
    },
  }
}

function hasKey(headers: Readonly<Record<string, string>>): boolean {
  return Object.keys(headers).some((name) => name.toLowerCase() === 'authorization')
}

/** Origins that were warned of: once each, however many clients there are. */
const warnedOf = new Set<string>()
const warnedOfMax = 100

function warnOfReadableKey(url: URL): void {
  const { origin } = url
  if (!isReadableOnItsWay(url) || warnedOf.has(origin) || warnedOf.size >= warnedOfMax) return
  warnedOf.add(origin)
  process.emitWarning(`The access key goes to ${origin} as plain text, and can be read on its way. Use https.`, {
    type: 'WaybillWarning',
    code: 'WAYBILL_PLAIN_KEY',
  })
}

/** Without those at its end. A pattern for them would take time with the square of the slashes that are not. */
function withoutSlashes(address: string): string {
  let end = address.length
  while (address[end - 1] === '/') end -= 1
  return address.slice(0, end)
}
