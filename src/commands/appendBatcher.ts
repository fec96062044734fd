import type { AppendOutcome, AppendRequest, EventLog } from '../eventlog/eventLog.ts'
import { FairQueue } from '../runtime/fairQueue.ts'
import type { BatchRoom, CommandChain } from './commandChain.ts'
import type { CommandLimits } from './commandLimits.ts'
import type { StreamQueue } from './streamQueue.ts'

/**
 * Group commit: as soon as the log can take a batch, everything that is ready becomes one. While up to two batches are
 * being confirmed the next one gathers by itself; nothing ever waits for company (waiting was measured, and lost). Owners of
 * what is ready take turns: nobody waits for all that another one sent.
 */
export interface AppendBatcher {
  /** The queue has commands for the next batch. */
  ready(queue: StreamQueue): void
  /** Appends one request of a stream that has no queue. The caller has one at a time under way per stream. */
  readonly append: (request: AppendRequest) => Promise<AppendOutcome>
  /** Calls `overdue` with every chain that was sent before `sentMs` and is still unconfirmed. */
  eachOverdue(sentMs: number, overdue: (chain: CommandChain) => void): void
  readonly sent: () => number
  onBatch(listener: BatchListener): void
}

/** Called once a batch, with its number of commands, its seconds in the log, and what the log said of each request. */
export type BatchListener = (commands: number, logSeconds: number, outcomes: readonly AppendOutcome[]) => void

export interface AppendBatcherOptions {
  readonly log: EventLog
  readonly limits: CommandLimits
  readonly monotonicMs: () => number
  /** Decides what a queue puts into the batch; null when it puts nothing. */
  readonly build: (queue: StreamQueue, room: BatchRoom) => CommandChain | null
  /**
   * `outcomes` are those of the whole batch, the chain's begin at `offset`. `arrival`: commands up to this number had
   * arrived when the batch was sent.
   */
  readonly settle: (chain: CommandChain, outcomes: readonly AppendOutcome[], offset: number, arrival: number) => void
  readonly arrivals: () => number
  readonly reportBug: (bug: unknown) => void
}

interface Batch {
  readonly requests: AppendRequest[]
  readonly chains: CommandChain[]
  readonly singles: Single[]
  readonly arrival: number
  sentMs: number
}

interface Single {
  readonly request: AppendRequest
  readonly resolve: (outcome: AppendOutcome) => void
}

export function createAppendBatcher(options: AppendBatcherOptions): AppendBatcher {
  const { log, limits, monotonicMs } = options
  const inFlight = new Set<Batch>()
  const listeners: BatchListener[] = []
  const readyQueues = new FairQueue<StreamQueue>()
  let singles: Single[] = []
  let scheduled = false
  let sent = 0

  /** Once the sockets that are readable now were read: their commands come along, and answers go out before the next batch is decided. */
  const schedule = (): void => {
    if (scheduled || inFlight.size >= limits.batchesInFlightMax) return
    scheduled = true
    setImmediate(() => {
      scheduled = false
      while (inFlight.size < limits.batchesInFlightMax && (!readyQueues.isEmpty || singles.length > 0)) {
        const batch = gather()
        if (batch.requests.length > 0) send(batch)
      }
    })
  }

  const gather = (): Batch => {
    const batch: Batch = { requests: [], chains: [], singles, arrival: options.arrivals(), sentMs: 0 }
    for (const { request } of singles) batch.requests.push(request)
    singles = []
    const room = { commands: limits.batchCommandsMax, bytes: limits.batchBytesMax }
    while (room.commands > 0 && room.bytes > 0) {
      const queue = readyQueues.shift()
      if (queue === undefined) break
      queue.isReady = false
      const chain = options.build(queue, room)
      if (chain === null) continue
      queue.inFlight = true
      batch.chains.push(chain)
      for (const append of chain.appends) batch.requests.push(append.request)
    }
    return batch
  }

  const send = (batch: Batch): void => {
    inFlight.add(batch)
    sent += 1
    batch.sentMs = monotonicMs()
    appendAll(batch.requests).then(
      (outcomes) => confirmed(batch, outcomes),
      (bug) => {
        options.reportBug(bug)
        confirmed(batch, [])
      },
    )
  }

  /** A throw before the first await of an adapter must not pass us by either. */
  const appendAll = async (requests: readonly AppendRequest[]): Promise<readonly AppendOutcome[]> =>
    log.append(requests)

  const confirmed = (batch: Batch, said: readonly AppendOutcome[]): void => {
    const logSeconds = (monotonicMs() - batch.sentMs) / 1_000
    inFlight.delete(batch)
    // An adapter that breaks the port's contract has said nothing about any request.
    const outcomes: readonly AppendOutcome[] =
      said.length === batch.requests.length ? said : batch.requests.map(() => ({ kind: 'unknown' }))
    let offset = 0
    for (const single of batch.singles) single.resolve(outcomes[offset++] ?? { kind: 'unknown' })
    let commands = batch.singles.length
    for (const chain of batch.chains) {
      commands += chain.commands.length
      chain.queue.inFlight = false
      try {
        options.settle(chain, outcomes, offset, batch.arrival)
      } catch (bug) {
        options.reportBug(bug)
      }
      offset += chain.appends.length
    }
    for (const listener of listeners) listener(commands, logSeconds, outcomes)
    if (!readyQueues.isEmpty || singles.length > 0) schedule()
  }

  return {
    ready(queue) {
      if (queue.isReady) return
      queue.isReady = true
      readyQueues.push(queue.waiting[0]?.owner ?? '', queue)
      schedule()
    },
    append: (request) =>
      new Promise((resolve) => {
        singles.push({ request, resolve })
        schedule()
      }),
    eachOverdue(sentMs, overdue) {
      for (const batch of inFlight) {
        if (batch.sentMs >= sentMs) continue
        for (const chain of batch.chains) overdue(chain)
      }
    },
    sent: () => sent,
    onBatch: (listener) => listeners.push(listener),
  }
}
