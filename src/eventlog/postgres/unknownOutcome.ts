import { createHash } from 'node:crypto'
import type { Chain } from '../chains.ts'
import type { EventToAppend } from '../eventLog.ts'
import type { Reader } from './reader.ts'

/** By event id: where an event of the call is, and SHA-256 of its data and metadata, one behind the other. */
export type FoundEvents = ReadonlyMap<
  string,
  { readonly revision: bigint; readonly position: bigint; readonly digest: string }
>

/**
 * Finds out what became of a call whose answer was lost. It is final as soon as one of its chains is in the log, for a call
 * is one transaction, or once the session that sent it has ended on the server, which is when its lock can be had. Null when
 * neither came to pass within the bound; by then the server's own timeouts have ended whatever was still running.
 */
export async function findLanded(
  reader: Reader,
  lockKey: bigint,
  chains: readonly Chain[],
  boundMs: number,
): Promise<FoundEvents | null> {
  const ids = chains.flatMap((chain) => eventsOf(chain).map(({ id }) => id))
  const untilMs = performance.now() + boundMs
  for (let pauseMs = 20; ; pauseMs = Math.min(2 * pauseMs, 500)) {
    try {
      // In this order: what the session did last is seen by a look that comes after its end.
      const ended = await reader.isLockFree(lockKey)
      const found = await reader.findEvents(ids)
      if (ended || chains.some((chain) => landedAt(chain, found) !== null)) return found
    } catch {
      // The log cannot be read now: the bound is what is left to wait for.
    }
    const leftMs = untilMs - performance.now()
    if (leftMs <= 0) return null
    await new Promise((resolve) => setTimeout(resolve, Math.min(pauseMs, leftMs)))
  }
}

/**
 * Position before the chain's first event when the chain is in the log, exactly where and as it was to go; else null. The
 * ids alone do not say so: another node, given the same command meanwhile, appends the same ids at the same revisions, but
 * events that were recorded by another and at another time. Taken for ours, they would leave the caller with a state, and
 * a hash to chain the next event to, that the log does not have.
 */
export function landedAt(chain: Chain, found: FoundEvents): bigint | null {
  let base: bigint | null = null
  for (const [index, event] of eventsOf(chain).entries()) {
    const place = BigInt(index) + 1n
    const there = found.get(event.id)
    if (there === undefined || there.revision !== chain.expected + place || there.digest !== digestOf(event))
      return null
    base ??= there.position - place
    if (there.position !== base + place) return null
  }
  return base
}

function eventsOf({ links }: Chain): readonly EventToAppend[] {
  return links.flatMap(({ request }) => request.events)
}

function digestOf({ data, metadata }: EventToAppend): string {
  return createHash('sha256').update(data).update(metadata).digest('hex')
}
