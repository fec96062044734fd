import { isIdle, type Lane, measureLane, newLane } from './lane.ts'
import { forgetOldReceipts } from './receipts.ts'

/** The lanes of this node, least recently used first; idle ones are dropped when there are too many, or they grow too large. */
export interface LaneCache {
  get(operation: string): Lane | undefined
  /** The operation's lane, made when there is none. Makes it the most recently used. */
  take(operation: string): Lane
  /** Measures the lane again, drops it if it is not worth keeping, and drops others while the bounds are exceeded. */
  settle(lane: Lane): void
  readonly size: () => number
  readonly bytes: () => number
}

export interface LaneCacheOptions {
  readonly streamOf: (operation: string) => string
  readonly lanesMax: number
  readonly bytesMax: number
}

/** How far to go below the bound once it is passed, so that looking through all lanes pays. */
const relief = 0.97

/**
 * Receipts an operation keeps when memory is short: those a retry is likely to ask for. Beside them the rest of an operation
 * should not look small: with 16, a set of 20,000 operations that were read from the log did not fit (docs/performance.md).
 */
const receiptsKept = 4

export function createLaneCache({ streamOf, lanesMax, bytesMax }: LaneCacheOptions): LaneCache {
  // A Map keeps its order of insertion: taking a lane out and putting it back makes it the youngest.
  const lanes = new Map<string, Lane>()
  let bytes = 0
  /** How many times a lane was made the youngest. */
  let moves = 0

  const drop = (lane: Lane): void => {
    lanes.delete(lane.operation)
    bytes -= lane.bytes
    lane.bytes = 0
  }

  const place = (lane: Lane): void => {
    moves += 1
    lane.movedAt = moves
    lanes.set(lane.operation, lane)
  }

  const measure = (lane: Lane): void => {
    const measured = measureLane(lane)
    bytes += measured - lane.bytes
    lane.bytes = measured
  }

  /** Old receipts go first: the log has them too, while a dropped operation must be folded from its beginning. */
  const shedReceipts = (): void => {
    for (const lane of lanes.values()) {
      if (bytes <= bytesMax * relief) return
      if (lane.receipts.recent.size <= receiptsKept) continue
      forgetOldReceipts(lane.receipts, receiptsKept)
      measure(lane)
    }
  }

  const dropOldest = (bytesKept: number): void => {
    for (const lane of lanes.values()) {
      if (lanes.size <= lanesMax && bytes <= bytesKept) return
      if (isIdle(lane)) drop(lane)
    }
  }

  return {
    get: (operation) => lanes.get(operation),
    take(operation) {
      const known = lanes.get(operation)
      if (known !== undefined) {
        // One among the youngest quarter stays where it is: moving a hot lane at each command would cost more than it tells.
        if (moves - known.movedAt > lanes.size / 4) {
          lanes.delete(operation)
          place(known)
        }
        return known
      }
      const lane = newLane(operation, streamOf(operation))
      place(lane)
      return lane
    },
    settle(lane) {
      if (lanes.get(lane.operation) !== lane) return
      measure(lane)
      // Commands for operations that do not exist must not push out those that do.
      if (lane.state === null && isIdle(lane)) drop(lane)
      if (bytes > bytesMax) {
        shedReceipts()
        dropOldest(bytesMax * relief)
      } else if (lanes.size > lanesMax) dropOldest(bytesMax)
    },
    size: () => lanes.size,
    bytes: () => bytes,
  }
}
