import { backOffMs } from './backOff.ts'
import type { Carrier } from './carriers.ts'
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
import { createOutage } from './outage.ts'
import type { Timing } from './retry.ts'

/** Bounds of what waits and what is under way. Counts and UTF-16 code units. */
export interface QueueLimits {
  /** Commands in one request. */
  readonly linesMax: number
  readonly bytesMax: number
  /** Requests under way at once. */
  readonly requestsMax: number
  /** Commands without an answer; more are refused. */
  readonly queueLinesMax: number
  readonly queueBytesMax: number
}

export interface CommandQueue {
  submit(line: CommandLine, options: { signal?: AbortSignal | undefined; timeoutMs?: number }): Promise<Receipt>
  /** Resolves when less than half of what the queue holds is taken. */
  ready(signal: AbortSignal | undefined): Promise<void>
  /** Commands without an answer. */
  readonly pending: number
  /** Takes no more commands; resolves when each one taken has its answer or its error. */
  close(): Promise<void>
}

interface Entry {
  readonly line: CommandLine
  readonly deadline: number
  readonly resolve: (receipt: Receipt) => void
  readonly reject: (reason: unknown) => void
  /** Times it was sent and may have been tried. */
  attempts: number
  wasSent: boolean
  inFlight: boolean
  mayHaveLanded: boolean
  /** Of the last attempt. */
  failure: Failure | null
  /** The caller waits no more. A command that was sent is seen through all the same: those after it depend on it. */
  forsaken: boolean
  expired: boolean
  /** Stops the clock and stops listening to the signal. */
  release: () => void
}

/** The commands of one operation, in the order they were given. They are in one request at a time. */
interface Lane {
  readonly name: string
  entries: Entry[]
  inFlight: number
  /** Why commands of the last request have to be sent again. */
  trouble: Failure | null
  failures: number
  /** Cancels the wait before the next attempt. */
  waiting: (() => void) | null
  hasExpired: boolean
}

/**
 * Gathers commands while requests are under way and sends them together. What holds: a command's retries carry its key
 * and its text; commands of one operation arrive in the order they were given; a later one is sent only once each
 * earlier one is answered, or is in the same request. One that is given up with its outcome open takes those behind it
 * along, for it may still arrive.
 */
export function createCommandQueue(carry: Carrier, limits: QueueLimits, timing: Timing): CommandQueue {
  const { clock, random, retry } = timing
  const lanes = new Map<string, Lane>()
  /** Lanes with something to send, in turn. */
  const turn = new Set<Lane>()
  let lines = 0
  let bytes = 0
  let requests = 0
  let scheduled = false
  let closed = false
  const outage = createOutage(timing, schedule)
  const roomy = createGate()
  const drained = createGate()

  function submit(line: CommandLine, options: Parameters<CommandQueue['submit']>[1]): Promise<Receipt> {
    const { signal, timeoutMs = retry.timeoutMs } = options
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason)
      const fate = { command: line.key, attempts: 0, mayHaveLanded: false }
      if (closed) return reject(new WaybillClosed('the client is closed', fate))
      if (lines >= limits.queueLinesMax || bytes + line.line.length > limits.queueBytesMax) {
        return reject(new WaybillQueueFull(`${lines} commands wait already`, fate))
      }
      const entry: Entry = {
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
      const lane = laneOf(line)
      const cancel = clock.after(timeoutMs, () => expire(lane, entry))
      const aborted = () => forsake(lane, entry, signal?.reason)
      signal?.addEventListener('abort', aborted, { once: true })
      entry.release = () => {
        cancel()
        signal?.removeEventListener('abort', aborted)
      }
      lines += 1
      bytes += line.line.length
      lane.entries.push(entry)
      makeReady(lane)
    })
  }

  /** A new operation without an id has a lane to itself: nobody else can name it yet. */
  function laneOf({ operation, key }: CommandLine): Lane {
    const name = operation ?? `/${key}`
    let lane = lanes.get(name)
    if (lane === undefined) {
      lane = { name, entries: [], inFlight: 0, trouble: null, failures: 0, waiting: null, hasExpired: false }
      lanes.set(name, lane)
    }
    return lane
  }

  function makeReady(lane: Lane): void {
    if (lane.inFlight > 0 || lane.waiting !== null) return
    turn.add(lane)
    schedule()
  }

  function schedule(): void {
    if (scheduled || outage.isOn) return
    scheduled = true
    clock.soon(() => {
      scheduled = false
      // A second request for a few commands would cost more than it saves: they gather while the first is under way.
      while (turn.size > 0 && !outage.isOn && mayOpenRequest()) {
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
    for (const lane of turn) {
      for (const { line } of lane.entries) {
        count += 1
        size += line.line.length
        if (count >= limits.linesMax || size >= limits.bytesMax) return true
      }
    }
    return false
  }

  function takeBatch(): (readonly [Lane, Entry])[] {
    const batch: (readonly [Lane, Entry])[] = []
    let size = 0
    for (const lane of turn) {
      for (const entry of lane.entries) {
        const length = entry.line.line.length
        if (batch.length >= limits.linesMax || (batch.length > 0 && size + length > limits.bytesMax)) return batch
        turn.delete(lane)
        tellRetry(entry)
        size += length
        lane.inFlight += 1
        entry.inFlight = true
        entry.wasSent = true
        entry.attempts += 1
        batch.push([lane, entry])
      }
    }
    return batch
  }

  function tellRetry({ line, attempts, failure, mayHaveLanded }: Entry): void {
    if (attempts === 0 || failure === null) return
    timing.onRetry?.(errorOf(failure, { command: line.key, attempts, mayHaveLanded }))
  }

  async function send(batch: readonly (readonly [Lane, Entry])[]): Promise<void> {
    requests += 1
    let answered = 0
    let wasTurnedAway = false
    const take = (place: readonly [Lane, Entry], result: Outcome<Receipt>) => {
      const [lane, entry] = place
      entry.inFlight = false
      lane.inFlight -= 1
      if (result.kind !== 'answer' && concernsAll(result)) {
        if (!wasTurnedAway) outage.begin(result)
        wasTurnedAway = true
      } else if (!wasTurnedAway) {
        outage.forget()
      }
      settle(lane, entry, result)
      if (lane.inFlight === 0) turnOver(lane)
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

  function settle(lane: Lane, entry: Entry, result: Outcome<Receipt>): void {
    if (result.kind === 'answer') {
      remove(lane, entry)
      if (!entry.forsaken) entry.resolve(result.value)
      return
    }
    const notTried = result.kind === 'problem' && result.problem.status === 424
    if (notTried) entry.attempts -= 1
    entry.failure = result
    entry.mayHaveLanded ||= mayHaveLanded(result)
    if (notTried || mayRetry(result)) {
      lane.trouble ??= result
      return
    }
    // Refused: receipts are looked for before anything else, so no earlier attempt has landed.
    if (result.kind === 'problem') entry.mayHaveLanded = mayHaveLanded(result)
    fail(lane, entry, result)
  }

  /** All commands of the lane that were under way have come to something: what next? */
  function turnOver(lane: Lane): void {
    const { trouble } = lane
    lane.trouble = null
    if (trouble === null) lane.failures = 0
    else lane.failures += 1
    // While nothing is sent anyway, a wait of the lane's own would only be added to the common one.
    const waitMs = trouble === null || outage.isOn ? 0 : backOffMs(lane.failures, trouble.retryAfterMs, retry, random)
    const next = clock.now() + Math.max(waitMs, outage.leftMs)
    dropExpired(lane)
    for (let entry = lane.entries[0]; entry !== undefined && entry.failure !== null; entry = lane.entries[0]) {
      if (entry.attempts < retry.attemptsMax && next < entry.deadline) break
      giveUp(lane, entry, entry.failure)
    }
    if (lane.entries.length === 0) {
      turn.delete(lane)
      if (lanes.get(lane.name) === lane) lanes.delete(lane.name)
    } else if (waitMs > 0) {
      lane.waiting = clock.after(waitMs, () => {
        lane.waiting = null
        makeReady(lane)
      })
    } else {
      makeReady(lane)
    }
  }

  /** Those whose time ran out while the lane was under way: what their callers were told must stay true. */
  function dropExpired(lane: Lane): void {
    if (!lane.hasExpired) return
    lane.hasExpired = false
    for (let entry = lane.entries.find(isExpired); entry !== undefined; entry = lane.entries.find(isExpired)) {
      giveUp(lane, entry, entry.failure ?? notInTime(entry))
    }
  }

  function giveUp(lane: Lane, entry: Entry, failure: Failure): void {
    const behind = entry.mayHaveLanded ? lane.entries.slice(lane.entries.indexOf(entry) + 1) : []
    fail(lane, entry, failure)
    for (const later of behind) {
      remove(lane, later)
      const { line, attempts, mayHaveLanded } = later
      const detail = `an earlier command of ${lane.name} was given up with its outcome open`
      later.reject(new WaybillNotTried(detail, { command: line.key, attempts, mayHaveLanded }))
    }
  }

  function fail(lane: Lane, entry: Entry, failure: Failure): void {
    remove(lane, entry)
    const { line, attempts, mayHaveLanded } = entry
    entry.reject(errorOf(failure, { command: line.key, attempts, mayHaveLanded }))
  }

  function expire(lane: Lane, entry: Entry): void {
    const failure = entry.failure ?? notInTime(entry)
    if (lane.inFlight > 0 && entry.wasSent) {
      lane.hasExpired = true
      entry.expired = true
      entry.forsaken = true
      entry.mayHaveLanded ||= entry.inFlight
      const { line, attempts, mayHaveLanded } = entry
      entry.reject(errorOf(failure, { command: line.key, attempts, mayHaveLanded }))
      return
    }
    giveUp(lane, entry, failure)
    tidy(lane)
  }

  function forsake(lane: Lane, entry: Entry, reason: unknown): void {
    entry.forsaken = true
    entry.reject(reason)
    if (entry.wasSent) return
    remove(lane, entry)
    tidy(lane)
  }

  function remove(lane: Lane, entry: Entry): void {
    const index = lane.entries.indexOf(entry)
    if (index === -1) return
    if (index === 0) lane.entries.shift()
    else lane.entries.splice(index, 1)
    entry.release()
    lines -= 1
    bytes -= entry.line.line.length
    if (isRoomy()) roomy.open()
    if (lines === 0) drained.open()
  }

  function tidy(lane: Lane): void {
    if (lane.entries.length > 0 || lane.inFlight > 0) return
    lane.waiting?.()
    lane.waiting = null
    turn.delete(lane)
    lanes.delete(lane.name)
  }

  function isRoomy(): boolean {
    return lines < limits.queueLinesMax / 2 && bytes < limits.queueBytesMax / 2
  }

  return {
    submit,
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

const isExpired = (entry: Entry) => entry.expired

function notInTime({ wasSent }: Entry): Failure {
  const detail = wasSent ? 'no answer in time' : 'not sent in time'
  return { kind: 'unanswered', detail, mayHaveLanded: wasSent, mayRetry: true, retryAfterMs: null }
}

/** True when sending other commands meanwhile would be no use. */
function concernsAll(failure: Failure): boolean {
  if (failure.kind === 'unanswered') return false
  const { code, status } = failure.problem
  return status === 429 || code === 'overloaded' || code === 'log_unavailable'
}
