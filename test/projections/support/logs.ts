import type { EventLog, RecordedEvent } from '../../../src/eventlog/eventLog.ts'

/** Delivers everything at least twice: each batch again, and some events before the position asked for. */
export function stutteringLog(log: EventLog): EventLog {
  return {
    ...log,
    async *subscribe(options) {
      const after = options.after > 3n ? options.after - 3n : 0n
      for await (const events of log.subscribe({ ...options, after })) {
        yield events
        yield events
      }
    },
  }
}

/** The same log as it was when it ended at `last`. */
export function truncatedLog(log: EventLog, last: bigint): EventLog {
  const kept = (events: readonly RecordedEvent[]): readonly RecordedEvent[] =>
    events.filter((event) => event.position <= last)
  return {
    ...log,
    head: async () => last,
    readAll: async (options) => kept(await log.readAll(options)),
    async *subscribe(options) {
      for await (const events of log.subscribe(options)) yield kept(events)
    },
  }
}
