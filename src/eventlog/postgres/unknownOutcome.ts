import type { Chain } from '../chains.ts'
import type { Reader } from './reader.ts'

/** By event id: where an event of the call is. */
export type FoundEvents = ReadonlyMap<string, { readonly revision: bigint; readonly position: bigint }>

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
  const ids = chains.map((chain) => lastEvent(chain)?.id).filter((id) => id !== undefined)
  const untilMs = Date.now() + boundMs
  for (let pauseMs = 20; ; pauseMs = Math.min(2 * pauseMs, 500)) {
    try {
      // In this order: what the session did last is seen by a look that comes after its end.
      const ended = await reader.isLockFree(lockKey)
      const found = await reader.findEvents(ids)
      if (ended || chains.some((chain) => landedAt(chain, found) !== null)) return found
    } catch {
      // The log cannot be read now: the bound is what is left to wait for.
    }
    const leftMs = untilMs - Date.now()
    if (leftMs <= 0) return null
    await new Promise((resolve) => setTimeout(resolve, Math.min(pauseMs, leftMs)))
  }
}

/** Position before the chain's first event when the chain is in the log, exactly where it was to go; else null. */
export function landedAt(chain: Chain, found: FoundEvents): bigint | null {
  const event = found.get(lastEvent(chain)?.id ?? '')
  const revision = chain.links.at(-1)?.revision
  return event === undefined || event.revision !== revision ? null : event.position - BigInt(chain.eventCount)
}

function lastEvent(chain: Chain): { readonly id: string } | undefined {
  return chain.links.findLast(({ request }) => request.events.length > 0)?.request.events.at(-1)
}
