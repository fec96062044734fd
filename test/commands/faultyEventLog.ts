import type { AppendOutcome, AppendRequest, EventLog, RecordedEvent } from '../../src/eventlog/eventLog.ts'
import { LogUnavailableError } from '../../src/eventlog/eventLog.ts'

type Forward = (batch: readonly AppendRequest[]) => Promise<readonly AppendOutcome[]>
export type AppendFault = (batch: readonly AppendRequest[], forward: Forward) => Promise<readonly AppendOutcome[]>

/** A real log whose calls go wrong as a test says; without a fault it is the log itself. */
export interface FaultyEventLog extends EventLog {
  /** Takes effect on the next append that has none yet. */
  failNextAppend(fault: AppendFault): void
  /** While set, reads throw LogUnavailableError. */
  readsFail: boolean
  /** Awaited before each append is passed on. */
  beforeAppend: () => Promise<void>
  /** Awaited before each read is passed on. */
  beforeRead: () => Promise<void>
  /** Awaited before what was read is given back. */
  afterRead: () => Promise<void>
  readonly appends: (readonly AppendRequest[])[]
  /** How many appends were under way at once, at most; and whether two of them ever shared a stream. */
  /** By the streams' readers. */
  eventsRead: number
  readonly seen: { inFlightMax: number; sharedStream: boolean; reads: number }
}

export function createFaultyEventLog(log: EventLog): FaultyEventLog {
  const faults: AppendFault[] = []
  const underWay = new Set<readonly AppendRequest[]>()
  const seen = { inFlightMax: 0, sharedStream: false, reads: 0 }

  async function append(batch: readonly AppendRequest[]): Promise<readonly AppendOutcome[]> {
    const streams = new Set(batch.map((request) => request.stream))
    for (const other of underWay) if (other.some((request) => streams.has(request.stream))) seen.sharedStream = true
    underWay.add(batch)
    seen.inFlightMax = Math.max(seen.inFlightMax, underWay.size)
    faulty.appends.push(batch)
    try {
      await faulty.beforeAppend()
      const fault = faults.shift()
      return await (fault === undefined ? log.append(batch) : fault(batch, (requests) => log.append(requests)))
    } finally {
      underWay.delete(batch)
    }
  }

  async function read<T>(from: () => Promise<T>): Promise<T> {
    seen.reads += 1
    await faulty.beforeRead()
    if (faulty.readsFail) throw new LogUnavailableError('planted')
    const found = await from()
    await faulty.afterRead()
    return found
  }

  const faulty: FaultyEventLog = {
    logId: log.logId,
    failNextAppend: (fault) => faults.push(fault),
    readsFail: false,
    beforeAppend: async () => undefined,
    beforeRead: async () => undefined,
    afterRead: async () => undefined,
    appends: [],
    eventsRead: 0,
    seen,
    append,
    async readStream(stream, options) {
      const events = await read(() => log.readStream(stream, options))
      faulty.eventsRead += events.length
      return events
    },
    readEvent: (stream, id) => read(() => log.readEvent(stream, id)),
    readAll: (options) => read(() => log.readAll(options)),
    subscribe: (options) => log.subscribe(options),
    head: () => log.head(),
    close: () => log.close(),
  }
  return faulty
}

/** The batch lands, and its answer is lost. */
export const unknownLanded: AppendFault = async (batch, forward) => {
  await forward(batch)
  return batch.map(() => ({ kind: 'unknown' }))
}

/** The batch is lost on its way, and so is the answer. */
export const unknownLost: AppendFault = async (batch) => batch.map(() => ({ kind: 'unknown' }))

export const unavailable: AppendFault = async (batch) => batch.map(() => ({ kind: 'unavailable' }))

/** The batch is lost, and the log says this of each of its requests. */
export const answering =
  (outcome: AppendOutcome): AppendFault =>
  async (batch) =>
    batch.map(() => outcome)

/** Another node gets in first. */
export function after(first: () => Promise<unknown>): AppendFault {
  return async (batch, forward) => {
    await first()
    return forward(batch)
  }
}

/** Something a test opens when it wants what waits for it to go on. */
export function createGate(): { readonly passed: Promise<void>; open(): void } {
  let open = (): void => undefined
  const passed = new Promise<void>((resolve) => {
    open = resolve
  })
  return { passed, open }
}

export async function wholeLog(log: EventLog): Promise<readonly RecordedEvent[]> {
  const all: RecordedEvent[] = []
  for (;;) {
    const page = await log.readAll({ after: all.at(-1)?.position ?? 0n, maxCount: 10_000 })
    if (page.length === 0) return all
    all.push(...page)
  }
}
