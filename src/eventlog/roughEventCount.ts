import type { EventLog } from './eventLog.ts'

/** How many events lie between two positions: exact where positions are counted, about where they are places in files. */
export function roughEventCount({ positionsPerEvent = 1 }: EventLog, positions: bigint): number {
  return Math.ceil(Number(positions) / positionsPerEvent)
}
