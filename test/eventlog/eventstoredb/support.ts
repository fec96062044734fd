import { randomUUID } from 'node:crypto'
import type { AppendRequest, EventLog, EventToAppend, RecordedEvent } from '../../../src/eventlog/eventLog.ts'
import type { EventStoreLogOptions } from '../../../src/eventlog/eventstoredb/eventStoreLog.ts'
import { patienceMs } from '../../support/patience.ts'

/**
 * Bounds under which what can come to a good end does, on a busy machine too. Short is only what must pass first: a
 * connection that is silent is given up, to be made again.
 */
export const patient = {
  deadlineMs: patienceMs,
  silenceMs: 1_000,
  patienceMs,
  readTimeoutMs: patienceMs,
  quietMs: 1_000,
  missingMsMax: patienceMs,
} satisfies Partial<EventStoreLogOptions>

/** Bounds that are meant to be met: what fails under them does so soon. */
export const hasty = {
  deadlineMs: 1_500,
  silenceMs: 300,
  patienceMs: 600,
  readTimeoutMs: 500,
  missingMsMax: 500,
} satisfies Partial<EventStoreLogOptions>

export const newEvent = (): EventToAppend => ({
  id: randomUUID(),
  type: 'Happened',
  data: '{"value":1}',
  metadata: '{"$correlationId":"a"}',
})

export function newStream(count = 1): AppendRequest {
  return {
    stream: `stream-${randomUUID()}`,
    expectedRevision: 'noStream',
    events: Array.from({ length: count }, newEvent),
  }
}

export const written = { kind: 'appended', revision: 0n }

/** Ids of a stream's events, as the log gives them. */
export async function idsOf(log: EventLog, stream: string): Promise<string[]> {
  return (await log.readStream(stream, { maxCount: 1_000 })).map(({ id }) => id)
}

/** Follows until so many events were seen. */
export async function followFor(log: EventLog, after: bigint, count: number, maxCount = 100): Promise<RecordedEvent[]> {
  const seen: RecordedEvent[] = []
  const end = AbortSignal.timeout(patienceMs)
  for await (const events of log.subscribe({ after, maxCount, signal: end })) {
    seen.push(...events)
    if (seen.length >= count) break
  }
  return seen
}
