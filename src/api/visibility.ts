import type { IncomingHttpHeaders } from 'node:http'
import { requireKeyKnown } from './accessControl.ts'
import type { ReadContext } from './context.ts'
import { ProblemError } from './problem.ts'

/** `minPosition` or `after` as a position. Throws ProblemError: 400 for garbage, 410 for another log's. */
export function positionOf(
  context: ReadContext,
  token: string,
  parameter: string,
  place: 'query' | 'header' = 'query',
): bigint {
  const position = context.tokens.decode(token)
  if (position === 'malformed') {
    throw new ProblemError({
      code: 'invalid',
      detail: `The ${place === 'query' ? 'parameter' : 'header'} ${parameter} is not a position.`,
      errors: [{ in: place, pointer: `/${parameter}`, detail: 'is not a position' }],
    })
  }
  if (position === 'another_log') {
    throw new ProblemError({
      code: 'another_log',
      detail: `The position in ${parameter} was given out by another log (the log was restored, copied or replaced).`,
    })
  }
  return position
}

const waitPreference = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:$|[,;])/i

/** Milliseconds the caller is willing to wait (RFC 7240), within the limit. */
export function waitMs(context: ReadContext, headers: IncomingHttpHeaders): number {
  return waitMsAskedFor(context, headers) ?? context.limits.waitSDefault * 1_000
}

/** The same; null when the caller does not say. */
export function waitMsAskedFor(context: ReadContext, { prefer }: IncomingHttpHeaders): number | null {
  const [, seconds] = waitPreference.exec(typeof prefer === 'string' ? prefer : (prefer?.join(',') ?? '')) ?? []
  return seconds === undefined ? null : Math.min(Number(seconds), context.limits.waitSMax) * 1_000
}

/** How often a wait looks whether its key was revoked. */
const lookMs = 1_000

/**
 * True once the read model is folded up to `position`; false when the time is up or the service shuts down. Throws
 * ProblemError when the key that `headers` hold was revoked meanwhile.
 */
export async function visible(
  context: ReadContext,
  position: bigint,
  timeoutMs: number,
  { authorization }: IncomingHttpHeaders,
): Promise<boolean> {
  if (context.readModel.position() >= position) return true
  for (let leftMs = timeoutMs; ; leftMs -= lookMs) {
    const isVisible = await visibleWithin(context, position, Math.min(leftMs, lookMs))
    requireKeyKnown(context.access, authorization)
    if (isVisible || leftMs <= lookMs || context.draining.aborted) return isVisible
  }
}

function visibleWithin(context: ReadContext, position: bigint, timeoutMs: number): Promise<boolean> {
  const { draining } = context
  if (draining.aborted) return Promise.resolve(false)
  return new Promise((resolve, reject) => {
    const giveUp = () => resolve(false)
    draining.addEventListener('abort', giveUp, { once: true })
    context.readModel
      .waitFor(position, timeoutMs)
      .then(resolve, reject)
      .finally(() => draining.removeEventListener('abort', giveUp))
  })
}

/** What is asked for is written (or may be): it only cannot be seen yet (correctness.md row 16). */
export function notYetVisible(context: ReadContext, seen = context.readModel.position()): ProblemError {
  return new ProblemError({
    code: 'not_yet_visible',
    detail: 'What was asked for is not in the read model yet. This says nothing against its being written.',
    retryAfterS: 1,
    position: context.tokens.encode(seen),
  })
}

/** A read of the read model as a whole, once what the query asks for is folded. Throws ProblemError. */
export async function readVisible<T extends { readonly position: bigint }>(
  context: ReadContext,
  query: { readonly minPosition?: string; readonly consistency?: 'strong' },
  headers: IncomingHttpHeaders,
  read: () => Promise<T>,
): Promise<T> {
  let target = query.minPosition === undefined ? 0n : positionOf(context, query.minPosition, 'minPosition')
  if (query.consistency === 'strong') {
    const head = await context.log.head()
    if (head > target) target = head
  }
  if (target > 0n && !(await visible(context, target, waitMs(context, headers), headers))) throw notYetVisible(context)
  const found = await read()
  // What this node has heard may be of before another one began to fold everything anew.
  if (found.position < target) throw notYetVisible(context, found.position)
  return found
}
