import type { Carrier } from './carriers.ts'
import type { Receipt } from './contract.ts'
import { type Failure, mayRetry, type Outcome } from './errors.ts'
import type { OperationQueue, PendingCommand } from './operationQueue.ts'
import { createOperationQueues, type OperationQueues, type PendingLimits } from './operationQueues.ts'
import { createOutage } from './outage.ts'
import type { Timing } from './retry.ts'

/** Bounds of what waits and what is under way. Counts and UTF-16 code units. */
export interface QueueLimits extends PendingLimits {
  /** Commands in one request. */
  readonly linesMax: number
  readonly bytesMax: number
  /** Requests under way at once. */
  readonly requestsMax: number
}

export type CommandQueue = Pick<OperationQueues, 'submit' | 'ready' | 'pending' | 'close'>

/**
 * Gathers commands while requests are under way and sends them together. What holds: a command's retries carry its key
 * and its text; commands of one operation arrive in the order they were given; a later one is sent only once each
 * earlier one is answered, or is in the same request. One that is given up with its outcome open takes those behind it
 * along, for it may still arrive.
 */
export function createCommandQueue(carry: Carrier, limits: QueueLimits, timing: Timing): CommandQueue {
  const { clock } = timing
  /** Queues that have something to send, in the order in which they got it. */
  const sendable = new Set<OperationQueue>()
  let requests = 0
  let scheduled = false
  const outage = createOutage(timing, schedule)
  const queues = createOperationQueues(limits, timing, outage, {
    onReady(queue) {
      sendable.add(queue)
      schedule()
    },
    onIdle: (queue) => sendable.delete(queue),
  })

  function schedule(): void {
    if (scheduled || outage.isOn) return
    scheduled = true
    clock.soon(() => {
      scheduled = false
      // A second request for a few commands would cost more than it saves: they gather while the first is under way.
      while (sendable.size > 0 && !outage.isOn && mayOpenRequest()) {
        void send(takeBatch())
      }
    })
  }

  function mayOpenRequest(): boolean {
    return requests === 0 || (requests < limits.requestsMax && hasFullBatch())
  }

  function hasFullBatch(): boolean {
    let count = 0
    let size = 0
    for (const queue of sendable) {
      for (const { line } of queue.commands) {
        count += 1
        size += line.line.length
        if (count >= limits.linesMax || size >= limits.bytesMax) return true
      }
    }
    return false
  }

  function takeBatch(): (readonly [OperationQueue, PendingCommand])[] {
    const batch: (readonly [OperationQueue, PendingCommand])[] = []
    let size = 0
    for (const queue of sendable) {
      for (const pending of queue.commands) {
        const length = pending.line.line.length
        if (batch.length >= limits.linesMax || (batch.length > 0 && size + length > limits.bytesMax)) return batch
        sendable.delete(queue)
        size += length
        queues.begin(queue, pending)
        batch.push([queue, pending])
      }
    }
    return batch
  }

  async function send(batch: readonly (readonly [OperationQueue, PendingCommand])[]): Promise<void> {
    requests += 1
    let answered = 0
    let wasTurnedAway = false
    const take = (place: readonly [OperationQueue, PendingCommand], result: Outcome<Receipt>) => {
      if (result.kind !== 'answer' && concernsAll(result)) {
        if (!wasTurnedAway) outage.begin(result)
        wasTurnedAway = true
      } else if (!wasTurnedAway) {
        outage.forget()
      }
      queues.take(...place, result)
    }
    let failure: Failure | null
    try {
      failure = await carry(
        batch.map(([, { line }]) => line),
        (index, result) => {
          const place = batch[index]
          if (place === undefined) return
          answered = index + 1
          take(place, result)
        },
      )
    } catch (cause) {
      failure = {
        kind: 'unanswered',
        detail: String(cause),
        cause,
        mayHaveLanded: true,
        mayRetry: false,
        retryAfterMs: null,
      }
    }
    requests -= 1
    if (failure !== null) {
      if (answered === 0 && mayRetry(failure)) {
        outage.begin(failure)
        wasTurnedAway = true
      }
      for (const place of batch.slice(answered)) take(place, failure)
    }
    schedule()
  }

  return queues
}

/** True when sending other commands meanwhile would be no use. */
function concernsAll(failure: Failure): boolean {
  if (failure.kind === 'unanswered') return false
  const { code, status } = failure.problem
  return status === 429 || code === 'overloaded' || code === 'log_unavailable'
}
