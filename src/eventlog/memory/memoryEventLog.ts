import { randomUUID } from 'node:crypto'
import { WakeUp } from '../../runtime/wakeUp.ts'
import { groupByStream } from '../chains.ts'
import { checkRequest, isJson } from '../checkRequest.ts'
import {
  type AppendOutcome,
  type AppendRequest,
  type EventLog,
  LogUnavailableError,
  type ReadAllOptions,
  type ReadStreamOptions,
  type RecordedEvent,
  type SubscribeOptions,
} from '../eventLog.ts'
import { checkMaxCount, contentBytes, readAllCountMax, readStreamCountMax } from '../limits.ts'

function withinBytes(events: readonly RecordedEvent[], bytesMax = Number.POSITIVE_INFINITY): readonly RecordedEvent[] {
  let bytes = 0
  const end = events.findIndex((event) => {
    bytes += contentBytes(event)
    return bytes > bytesMax
  })
  return end === -1 ? events : events.slice(0, end)
}

/**
 * The reference adapter: what the port means, written as plainly as it can be said, one request after the other. The
 * contract suite holds the others against it. For tests and the domain's playground: what it holds dies with the process.
 */
export function createMemoryEventLog(): EventLog {
  const logId = randomUUID()
  const all: RecordedEvent[] = []
  const streams = new Map<string, RecordedEvent[]>()
  const byId = new Map<string, RecordedEvent>()
  const appended = new WakeUp()
  let closed = false

  function appendOne(request: AppendRequest): AppendOutcome {
    const reason = checkRequest(request)
    if (reason !== null) return { kind: 'rejected', reason }
    const events = streams.get(request.stream) ?? []
    const actual = events.length === 0 ? null : BigInt(events.length - 1)
    const expected = request.expectedRevision === 'noStream' ? null : request.expectedRevision
    if (expected !== actual) return { kind: 'conflict', actualRevision: actual }
    const ids = new Set<string>()
    for (const { id, data, metadata } of request.events) {
      // The first event at fault decides what is said of the request.
      if (!isJson(data) || !isJson(metadata)) return { kind: 'rejected', reason: 'invalid' }
      if (ids.has(id) || byId.has(id)) return { kind: 'duplicate' }
      ids.add(id)
    }
    for (const { id, type, data, metadata } of request.events) {
      const revision = BigInt(events.length)
      const position = BigInt(all.length + 1)
      const recorded = { stream: request.stream, revision, position, id, type, data, metadata }
      events.push(recorded)
      all.push(recorded)
      byId.set(id, recorded)
    }
    if (events.length > 0) streams.set(request.stream, events)
    const last = events.at(-1)
    return { kind: 'appended', revision: last?.revision ?? -1n, position: last?.position ?? 0n }
  }

  function append(batch: readonly AppendRequest[]): readonly AppendOutcome[] {
    if (closed) return batch.map(() => ({ kind: 'unavailable' }))
    const outcomes: AppendOutcome[] = batch.map(() => ({ kind: 'untried' }))
    // Chain by chain, in order of first appearance: which of two equal event ids in different streams wins is thereby fixed.
    for (const indexes of groupByStream(batch).values()) {
      for (const index of indexes) {
        const request = batch[index]
        if (request === undefined) continue
        const outcome = appendOne(request)
        outcomes[index] = outcome
        if (outcome.kind !== 'appended') break
      }
    }
    appended.wake()
    return outcomes
  }

  function readStream(stream: string, options: ReadStreamOptions): readonly RecordedEvent[] {
    checkMaxCount(options.maxCount, readStreamCountMax)
    return withinBytes(slice(streams.get(stream) ?? [], options), options.bytesMax)
  }

  function slice(events: readonly RecordedEvent[], options: ReadStreamOptions): readonly RecordedEvent[] {
    if (options.direction !== 'backwards') {
      const from = Number(options.fromRevision ?? 0n)
      return events.slice(from, from + options.maxCount)
    }
    const end = Math.min(events.length, Number(options.fromRevision ?? BigInt(events.length)) + 1)
    return events.slice(Math.max(0, end - options.maxCount), end).reverse()
  }

  function readAll({ after, maxCount }: ReadAllOptions): readonly RecordedEvent[] {
    checkMaxCount(maxCount, readAllCountMax)
    return all.slice(Number(after), Number(after) + maxCount)
  }

  async function* subscribe({ after, maxCount, signal }: SubscribeOptions): AsyncGenerator<readonly RecordedEvent[]> {
    let position = after
    while (!signal.aborted) {
      if (closed) throw new LogUnavailableError('The log is closed')
      const events = readAll({ after: position, maxCount })
      const last = events.at(-1)
      if (last === undefined) {
        await appended.wait(signal)
        continue
      }
      position = last.position
      yield events
    }
  }

  /** Answers come later, as any store's do: no caller may come to rely on a settled append in the same turn. */
  async function answer<T>(read: () => T): Promise<T> {
    if (closed) throw new LogUnavailableError('The log is closed')
    const value = read()
    await new Promise((resolve) => setImmediate(resolve))
    return value
  }

  return {
    logId,
    append: async (batch) => {
      const outcomes = append(batch)
      await new Promise((resolve) => setImmediate(resolve))
      return outcomes
    },
    readStream: (stream, options) => answer(() => readStream(stream, options)),
    readEvent: (stream, id) =>
      answer(() => {
        const event = byId.get(id)
        return event?.stream === stream ? event : null
      }),
    readAll: (options) => answer(() => readAll(options)),
    subscribe,
    head: () => answer(() => BigInt(all.length)),
    close: async () => {
      closed = true
      appended.wake()
    },
  }
}
