import type { Reader } from './reader.ts'

/** By event id: where an event of the call is. */
export type FoundEvents = ReadonlyMap<string, { readonly revision: bigint; readonly position: bigint }>

/**
 * Finds out what became of a call whose answer was lost: waits until the session that sent it has ended on the server, which
 * is when its lock can be had, and looks for the events. Null when that could not be done within the bound; by then the
 * server's own timeouts have ended whatever was still running.
 */
export async function findLanded(
  reader: Reader,
  lockKey: bigint,
  ids: readonly string[],
  boundMs: number,
): Promise<FoundEvents | null> {
  const untilMs = Date.now() + boundMs
  for (let pauseMs = 20; ; pauseMs = Math.min(2 * pauseMs, 500)) {
    try {
      if (await reader.isLockFree(lockKey)) return await reader.findEvents(ids)
    } catch {
      // The log cannot be read now: the bound is what is left to wait for.
    }
    const leftMs = untilMs - Date.now()
    if (leftMs <= 0) return null
    await new Promise((resolve) => setTimeout(resolve, Math.min(pauseMs, leftMs)))
  }
}
