import rateLimit from '@fastify/rate-limit'
import { keysMax } from '../access/access.ts'
import type { ApiServer } from './apiServer.ts'
import { ProblemError } from './problem.ts'

/**
 * Lets each key have so many requests in each second, on this node; the open routes are not counted. Register it after the
 * guard: it must know the caller. A bulk request counts once: what it carries is held back by back-pressure.
 */
export async function limitRate(app: ApiServer, requestsPerSMax: number): Promise<void> {
  await app.register(rateLimit, {
    max: requestsPerSMax,
    timeWindow: 1_000,
    // One for each key, and one for whoever has none.
    cache: keysMax + 2,
    enableDraftSpec: true,
    keyGenerator: ({ caller }) => caller?.keyId ?? caller?.name ?? '',
    allowList: ({ caller }) => caller === null,
    errorResponseBuilder: (_request, { ttl }) =>
      new ProblemError({
        code: 'rate_limited',
        detail: `This key may send ${requestsPerSMax} requests a second.`,
        retryAfterS: ttl / 1_000,
      }),
  })
}
