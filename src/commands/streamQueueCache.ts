import { forgetOldReceipts } from './receipts.ts'
import { isIdle, measureQueue, newStreamQueue, type StreamQueue } from './streamQueue.ts'

/** The queues of this node, least recently used first; idle ones are dropped when there are too many, or they grow too large. */
export interface StreamQueueCache {
  get(operation: string): StreamQueue | undefined
  /** The operation's queue, made when there is none. Makes it the most recently used. */
  take(operation: string): StreamQueue
  /** Measures the queue again, drops it if it is not worth keeping, and drops others while the bounds are exceeded. */
  settle(queue: StreamQueue): void
  readonly size: () => number
  readonly bytes: () => number
}

export interface StreamQueueCacheOptions {
  readonly streamOf: (operation: string) => string
  readonly queuesMax: number
  readonly bytesMax: number
}

/** How far to go below the bound once it is passed, so that looking through all queues pays. */
const relief = 0.97

/**
 * Receipts an operation keeps when memory is short: those a retry is likely to ask for. Beside them the rest of an operation
 * should not look small: with 16, a set of 20,000 operations that were read from the log did not fit (docs/performance.md).
 */
const receiptsKept = 4

export function createStreamQueueCache({ streamOf, queuesMax, bytesMax }: StreamQueueCacheOptions): StreamQueueCache {
  // A Map keeps its order of insertion: taking a queue out and putting it back makes it the youngest.
  const queues = new Map<string, StreamQueue>()
  let bytes = 0
  /** How many times a queue was made the youngest. */
  let moves = 0

  const drop = (queue: StreamQueue): void => {
    queues.delete(queue.operation)
    bytes -= queue.bytes
    queue.bytes = 0
  }

  const place = (queue: StreamQueue): void => {
    moves += 1
    queue.movedAt = moves
    queues.set(queue.operation, queue)
  }

  const measure = (queue: StreamQueue): void => {
    const measured = measureQueue(queue)
    bytes += measured - queue.bytes
    queue.bytes = measured
  }

  /** Old receipts go first: the log has them too, while a dropped operation must be folded from its beginning. */
  const shedReceipts = (): void => {
    for (const queue of queues.values()) {
      if (bytes <= bytesMax * relief) return
      if (queue.receipts.recent.size <= receiptsKept) continue
      forgetOldReceipts(queue.receipts, receiptsKept)
      measure(queue)
    }
  }

  const dropOldest = (bytesKept: number): void => {
    for (const queue of queues.values()) {
      if (queues.size <= queuesMax && bytes <= bytesKept) return
      if (isIdle(queue)) drop(queue)
    }
  }

  return {
    get: (operation) => queues.get(operation),
    take(operation) {
      const known = queues.get(operation)
      if (known !== undefined) {
        // One among the youngest quarter stays where it is: moving a hot queue at each command would cost more than it tells.
        if (moves - known.movedAt > queues.size / 4) {
          queues.delete(operation)
          place(known)
        }
        return known
      }
      const queue = newStreamQueue(operation, streamOf(operation))
      place(queue)
      return queue
    },
    settle(queue) {
      if (queues.get(queue.operation) !== queue) return
      measure(queue)
      // Commands for operations that do not exist must not push out those that do.
      if (queue.state === null && isIdle(queue)) drop(queue)
      if (bytes > bytesMax) {
        shedReceipts()
        dropOldest(bytesMax * relief)
      } else if (queues.size > queuesMax) dropOldest(bytesMax)
    },
    size: () => queues.size,
    bytes: () => bytes,
  }
}
