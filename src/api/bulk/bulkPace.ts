import { performance } from 'node:perf_hooks'
import { roughEventCount } from '../../eventlog/roughEventCount.ts'
import type { Projector } from '../../projections/readModel.ts'
import type { ApiContext } from '../context.ts'

/**
 * Holds bulk uploads back while this node's own projector is far behind them. It shares their thread: left to themselves
 * they leave it next to nothing, and the read model falls behind for as long as they last (measured: 500 events a second
 * beside 6,000 commands). Reports that come one by one are never held back, and a projector that stands still, or works
 * on another node, holds up nobody.
 */
export interface BulkPace {
  /** A bulk command is in the log, at this position. */
  appended(position: bigint): void
  /** No more lines are to be read for a moment: look again after `pauseMs`. */
  isAhead(): boolean
}

export const pauseMs = 5

/** Well within what the projector is served from memory (eventlog/postgres/tailCache.ts). */
const behindMax = 2_000
/** A projector that has not moved for so long is not waited for. */
const stillMs = 1_000

export function createBulkPace(
  { log, projector }: Pick<ApiContext, 'log'> & { readonly projector: Pick<Projector, 'status'> },
  monotonicMs = () => performance.now(),
): BulkPace {
  let newest = 0n
  let seen = -1n
  let movedMs = monotonicMs()

  return {
    appended(position) {
      if (position > newest) newest = position
    },
    isAhead() {
      const { phase, position } = projector.status()
      if (phase !== 'live') return false
      const nowMs = monotonicMs()
      if (position !== seen) {
        seen = position
        movedMs = nowMs
      }
      const behind = newest > position ? roughEventCount(log, newest - position) : 0
      return behind > behindMax && nowMs - movedMs < stillMs
    },
  }
}
