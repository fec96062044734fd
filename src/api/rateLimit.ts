import type { FastifyRateLimitStore } from '@fastify/rate-limit'
import { ownerOf } from './accessControl.ts'
import type { ApiServer } from './apiServer.ts'
import { ProblemError } from './problem.ts'

const windowMs = 1_000

/** What each key has used up of the current second, on this node: requests, and lines of bulk requests. */
export interface RateCounts {
  /** Whether it may send one more line. Never false where there is no limit. */
  hasRoom(owner: string): boolean
  count(owner: string): { readonly current: number; readonly ttl: number }
}

/** Counts of the current second; the next one begins with none, so that only who calls now takes memory. `max` 0: no limit. */
export function createRateCounts(max: number, monotonicMs = () => performance.now()): RateCounts {
  const counts = new Map<string, number>()
  let startedAt = monotonicMs()
  function look(): number {
    const now = monotonicMs()
    if (now - startedAt >= windowMs) {
      counts.clear()
      startedAt = now
    }
    return windowMs - (now - startedAt)
  }
  return {
    hasRoom(owner) {
      if (max === 0) return true
      look()
      return (counts.get(owner) ?? 0) < max
    },
    count(owner) {
      if (max === 0) return { current: 0, ttl: 0 }
      const ttl = look()
      const current = (counts.get(owner) ?? 0) + 1
      counts.set(owner, current)
      return { current, ttl }
    },
  }
}

/**
 * Lets each key have so many requests in each second, on this node; the open routes are not counted. Register it after the
 * guard: it must know the caller. Lines of bulk requests count as well: an upload that has used them up goes on in the next
 * second (bulk/bulkRun.ts).
 */
export async function limitRate(app: ApiServer, requestsPerSMax: number, counts: RateCounts): Promise<void> {
  // In place of the package's own store, which hands out its record: of several requests at once, each would see the count
  // of the last.
  class Store implements FastifyRateLimitStore {
    incr(key: string, callback: (error: Error | null, result?: { current: number; ttl: number }) => void): void {
      callback(null, counts.count(key))
    }

    child(): this {
      return this
    }
  }
  await app.register(import('@fastify/rate-limit'), {
    max: requestsPerSMax,
    timeWindow: windowMs,
    store: Store,
    enableDraftSpec: true,
    keyGenerator: (request) => (request.caller === null ? '' : ownerOf(request)),
    allowList: ({ caller }) => caller === null,
    errorResponseBuilder: (_request, { ttl }) =>
      new ProblemError({
        code: 'rate_limited',
        detail: `This key may send ${requestsPerSMax} requests a second.`,
        retryAfterS: ttl / windowMs,
      }),
  })
}
