import type { FastifyRateLimitStore } from '@fastify/rate-limit'
import type { ApiServer } from './apiServer.ts'
import { ProblemError } from './problem.ts'

const windowMs = 1_000

/**
 * Lets each key have so many requests in each second, on this node; the open routes are not counted. Register it after the
 * guard: it must know the caller. A bulk request counts once: what it carries is held back by back-pressure.
 */
export async function limitRate(app: ApiServer, requestsPerSMax: number): Promise<void> {
  await app.register(import('@fastify/rate-limit'), {
    max: requestsPerSMax,
    timeWindow: windowMs,
    store: SecondCounts,
    enableDraftSpec: true,
    keyGenerator: ({ caller }) => caller?.keyId ?? caller?.name ?? '',
    allowList: ({ caller }) => caller === null,
    errorResponseBuilder: (_request, { ttl }) =>
      new ProblemError({
        code: 'rate_limited',
        detail: `This key may send ${requestsPerSMax} requests a second.`,
        retryAfterS: ttl / windowMs,
      }),
  })
}

/**
 * Counts of the current second; the next one begins with none, so that only who calls now takes memory. In place of the
 * package's own store, which hands out its record: of several requests at once, each would see the count of the last.
 */
class SecondCounts implements FastifyRateLimitStore {
  readonly #counts = new Map<string, number>()
  #startedAt = 0

  incr(key: string, callback: (error: Error | null, result?: { current: number; ttl: number }) => void): void {
    const now = performance.now()
    if (now - this.#startedAt >= windowMs) {
      this.#counts.clear()
      this.#startedAt = now
    }
    const current = (this.#counts.get(key) ?? 0) + 1
    this.#counts.set(key, current)
    callback(null, { current, ttl: windowMs - (now - this.#startedAt) })
  }

  child(): this {
    return this
  }
}
