import { backOffMs } from './backOff.ts'
import type { CommandLine } from './commandLine.ts'
import type { Receipt } from './contract.ts'
import {
  errorOf,
  type Failure,
  mayHaveLanded,
  mayRetry,
  type Outcome,
  WaybillClosed,
  WaybillNotTried,
  WaybillQueueFull,
} from './errors.ts'
import { createGate } from './gate.ts'
import type { OperationQueue, PendingCommand } from './operationQueue.ts'
import type { Outage } from './outage.ts'
import type { Timing } from './retry.ts'

/** Commands without an answer that are held; more are refused. UTF-16 code units. */
export interface PendingLimits {
  readonly queueLinesMax: number
  readonly queueBytesMax: number
}

/** What becomes of each command, from its submission to its answer; what is sent together, and when, is the queue's. */
export interface OperationQueues {
  submit(line: CommandLine, options: { signal?: AbortSignal | undefined; timeoutMs?: number }): Promise<Receipt>
  /** The command is in a request that is about to be sent. */
  begin(queue: OperationQueue, pending: PendingCommand): void
  /** What came of it: an answer to its caller, an error, or another attempt. */
  take(queue: OperationQueue, pending: PendingCommand, result: Outcome<Receipt>): void
  /** Resolves when less than half of what the queues hold is taken. */
  ready(signal: AbortSignal | undefined): Promise<void>
  /** Commands without an answer. */
  readonly pending: number
  /** Takes no more commands; resolves when each one taken has its answer or its error. */
  close(): Promise<void>
}

export interface QueueListener {
  /** The queue has something that may be sent now. */
  readonly onReady: (queue: OperationQueue) => void
  /** It has not, any more. */
  readonly onIdle: (queue: OperationQueue) => void
}

export function createOperationQueues(
  limits: PendingLimits,
  timing: Timing,
  outage: Pick<Outage, 'isOn' | 'leftMs'>,
  { onReady, onIdle }: QueueListener,
): OperationQueues {
  const { clock, random, retry } = timing
  const queues = new Map<string, OperationQueue>()
  let lines = 0
  let bytes = 0
  let closed = false
  const roomy = createGate()
  const drained = createGate()

  function submit(line: CommandLine, options: Parameters<OperationQueues['submit']>[1]): Promise<Receipt> {
    const { signal, timeoutMs = retry.timeoutMs } = options
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason)
      const fate = { command: line.key, attempts: 0, mayHaveLanded: false }
      if (closed) return reject(new WaybillClosed('the client is closed', fate))
      if (lines >= limits.queueLinesMax || bytes + line.line.length > limits.queueBytesMax) {
        return reject(new WaybillQueueFull(`${lines} commands wait already`, fate))
      }
      const pending: PendingCommand = {
        line,
        deadline: clock.now() + timeoutMs,
        resolve,
        reject,
        attempts: 0,
        wasSent: false,
        inFlight: false,
        mayHaveLanded: false,
        failure: null,
        forsaken: false,
        expired: false,
        release: () => undefined,
      }
      const queue = laneOf(line)
      const cancel = clock.after(timeoutMs, () => expire(queue, pending))
      const aborted = () => forsake(queue, pending, signal?.reason)
      signal?.addEventListener('abort', aborted, { once: true })
      pending.release = () => {
        cancel()
        signal?.removeEventListener('abort', aborted)
      }
      lines += 1
      bytes += line.line.length
      queue.commands.push(pending)
      makeReady(queue)
    })
  }

  /** A new operation without an id has a queue to itself: nobody else can name it yet. */
  function laneOf({ operation, key }: CommandLine): OperationQueue {
    const name = operation ?? `/${key}`
    let queue = queues.get(name)
    if (queue === undefined) {
      queue = { name, commands: [], inFlight: 0, trouble: null, failures: 0, waiting: null, hasExpired: false }
      queues.set(name, queue)
    }
    return queue
  }

  function makeReady(queue: OperationQueue): void {
    if (queue.inFlight > 0 || queue.waiting !== null) return
    onReady(queue)
  }

  function begin(queue: OperationQueue, pending: PendingCommand): void {
    tellRetry(pending)
    queue.inFlight += 1
    pending.inFlight = true
    pending.wasSent = true
    pending.attempts += 1
  }

  function tellRetry({ line, attempts, failure, mayHaveLanded }: PendingCommand): void {
    if (attempts === 0 || failure === null) return
    timing.onRetry?.(errorOf(failure, { command: line.key, attempts, mayHaveLanded }))
  }

  function take(queue: OperationQueue, pending: PendingCommand, result: Outcome<Receipt>): void {
    pending.inFlight = false
    queue.inFlight -= 1
    settle(queue, pending, result)
    if (queue.inFlight === 0) turnOver(queue)
  }

  function settle(queue: OperationQueue, pending: PendingCommand, result: Outcome<Receipt>): void {
    if (result.kind === 'answer') {
      remove(queue, pending)
      if (!pending.forsaken) pending.resolve(result.value)
      return
    }
    const notTried = result.kind === 'problem' && result.problem.status === 424
    if (notTried) pending.attempts -= 1
    pending.failure = result
    pending.mayHaveLanded ||= mayHaveLanded(result)
    if (notTried || mayRetry(result)) {
      queue.trouble ??= result
      return
    }
    // Refused: receipts are looked for before anything else, so no earlier attempt has landed.
    if (result.kind === 'problem') pending.mayHaveLanded = mayHaveLanded(result)
    fail(queue, pending, result)
  }

  /** All commands of the queue that were under way have come to something: what next? */
  function turnOver(queue: OperationQueue): void {
    const { trouble } = queue
    queue.trouble = null
    if (trouble === null) queue.failures = 0
    else queue.failures += 1
    // While nothing is sent anyway, a wait of the queue's own would only be added to the common one.
    const waitMs = trouble === null || outage.isOn ? 0 : backOffMs(queue.failures, trouble.retryAfterMs, retry, random)
    const next = clock.now() + Math.max(waitMs, outage.leftMs)
    dropExpired(queue)
    for (
      let pending = queue.commands[0];
      pending !== undefined && pending.failure !== null;
      pending = queue.commands[0]
    ) {
      if (pending.attempts < retry.attemptsMax && next < pending.deadline) break
      giveUp(queue, pending, pending.failure)
    }
    if (queue.commands.length === 0) {
      onIdle(queue)
      if (queues.get(queue.name) === queue) queues.delete(queue.name)
    } else if (waitMs > 0) {
      queue.waiting = clock.after(waitMs, () => {
        queue.waiting = null
        makeReady(queue)
      })
    } else {
      makeReady(queue)
    }
  }

  /** Those whose time ran out while the queue was under way: what their callers were told must stay true. */
  function dropExpired(queue: OperationQueue): void {
    if (!queue.hasExpired) return
    queue.hasExpired = false
    for (
      let pending = queue.commands.find(isExpired);
      pending !== undefined;
      pending = queue.commands.find(isExpired)
    ) {
      giveUp(queue, pending, pending.failure ?? notInTime(pending))
    }
  }

  function giveUp(queue: OperationQueue, pending: PendingCommand, failure: Failure): void {
    const behind = pending.mayHaveLanded ? queue.commands.slice(queue.commands.indexOf(pending) + 1) : []
    fail(queue, pending, failure)
    for (const later of behind) {
      remove(queue, later)
      const { line, attempts, mayHaveLanded } = later
      const detail = `an earlier command of ${queue.name} was given up with its outcome open`
      later.reject(new WaybillNotTried(detail, { command: line.key, attempts, mayHaveLanded }))
    }
  }

  function fail(queue: OperationQueue, pending: PendingCommand, failure: Failure): void {
    remove(queue, pending)
    const { line, attempts, mayHaveLanded } = pending
    pending.reject(errorOf(failure, { command: line.key, attempts, mayHaveLanded }))
  }

  function expire(queue: OperationQueue, pending: PendingCommand): void {
    const failure = pending.failure ?? notInTime(pending)
    if (queue.inFlight > 0 && pending.wasSent) {
      queue.hasExpired = true
      pending.expired = true
      pending.forsaken = true
      pending.mayHaveLanded ||= pending.inFlight
      const { line, attempts, mayHaveLanded } = pending
      pending.reject(errorOf(failure, { command: line.key, attempts, mayHaveLanded }))
      return
    }
    giveUp(queue, pending, failure)
    tidy(queue)
  }

  function forsake(queue: OperationQueue, pending: PendingCommand, reason: unknown): void {
    pending.forsaken = true
    pending.reject(reason)
    if (pending.wasSent) return
    remove(queue, pending)
    tidy(queue)
  }

  function remove(queue: OperationQueue, pending: PendingCommand): void {
    const index = queue.commands.indexOf(pending)
    if (index === -1) return
    if (index === 0) queue.commands.shift()
    else queue.commands.splice(index, 1)
    pending.release()
    lines -= 1
    bytes -= pending.line.line.length
    if (isRoomy()) roomy.open()
    if (lines === 0) drained.open()
  }

  function tidy(queue: OperationQueue): void {
    if (queue.commands.length > 0 || queue.inFlight > 0) return
    queue.waiting?.()
    queue.waiting = null
    onIdle(queue)
    queues.delete(queue.name)
  }

  function isRoomy(): boolean {
    return lines < limits.queueLinesMax / 2 && bytes < limits.queueBytesMax / 2
  }

  return {
    submit,
    begin,
    take,
    ready: async (signal) => {
      while (!isRoomy()) await roomy.passed(signal)
    },
    get pending() {
      return lines
    },
    close: async () => {
      closed = true
      while (lines > 0) await drained.passed(undefined)
    },
  }
}

const isExpired = (pending: PendingCommand) => pending.expired

function notInTime({ wasSent }: PendingCommand): Failure {
  const detail = wasSent ? 'no answer in time' : 'not sent in time'
  return { kind: 'unanswered', detail, mayHaveLanded: wasSent, mayRetry: true, retryAfterMs: null }
}
