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
import type { Entry, Lane } from './lane.ts'
import type { Outage } from './outage.ts'
import type { Timing } from './retry.ts'

/** Commands without an answer that are held; more are refused. UTF-16 code units. */
export interface LaneLimits {
  readonly queueLinesMax: number
  readonly queueBytesMax: number
}

/** What becomes of each command, from its submission to its answer; what is sent together, and when, is the queue's. */
export interface CommandLanes {
  submit(line: CommandLine, options: { signal?: AbortSignal | undefined; timeoutMs?: number }): Promise<Receipt>
  /** The command is in a request that is about to be sent. */
  begin(lane: Lane, entry: Entry): void
  /** What came of it: an answer to its caller, an error, or another attempt. */
  take(lane: Lane, entry: Entry, result: Outcome<Receipt>): void
  /** Resolves when less than half of what the lanes hold is taken. */
  ready(signal: AbortSignal | undefined): Promise<void>
  /** Commands without an answer. */
  readonly pending: number
  /** Takes no more commands; resolves when each one taken has its answer or its error. */
  close(): Promise<void>
}

export interface LaneListener {
  /** The lane has something that may be sent now. */
  readonly onReady: (lane: Lane) => void
  /** It has not, any more. */
  readonly onIdle: (lane: Lane) => void
}

export function createCommandLanes(
  limits: LaneLimits,
  timing: Timing,
  outage: Pick<Outage, 'isOn' | 'leftMs'>,
  { onReady, onIdle }: LaneListener,
): CommandLanes {
  const { clock, random, retry } = timing
  const lanes = new Map<string, Lane>()
  let lines = 0
  let bytes = 0
  let closed = false
  const roomy = createGate()
  const drained = createGate()

  function submit(line: CommandLine, options: Parameters<CommandLanes['submit']>[1]): Promise<Receipt> {
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
    onReady(lane)
  }

  function begin(lane: Lane, entry: Entry): void {
    tellRetry(entry)
    lane.inFlight += 1
    entry.inFlight = true
    entry.wasSent = true
    entry.attempts += 1
  }

  function tellRetry({ line, attempts, failure, mayHaveLanded }: Entry): void {
    if (attempts === 0 || failure === null) return
    timing.onRetry?.(errorOf(failure, { command: line.key, attempts, mayHaveLanded }))
  }

  function take(lane: Lane, entry: Entry, result: Outcome<Receipt>): void {
    entry.inFlight = false
    lane.inFlight -= 1
    settle(lane, entry, result)
    if (lane.inFlight === 0) turnOver(lane)
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
      onIdle(lane)
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
    onIdle(lane)
    lanes.delete(lane.name)
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

const isExpired = (entry: Entry) => entry.expired

function notInTime({ wasSent }: Entry): Failure {
  const detail = wasSent ? 'no answer in time' : 'not sent in time'
  return { kind: 'unanswered', detail, mayHaveLanded: wasSent, mayRetry: true, retryAfterMs: null }
}
