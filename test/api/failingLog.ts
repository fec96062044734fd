import type { AppendOutcome, AppendRequest, EventLog } from '../../src/eventlog/eventLog.ts'

/** A real log that, where a test says so, answers an append as a store does that is in trouble. */
export function failingLog(log: EventLog, failure: (request: AppendRequest) => AppendOutcome['kind'] | null): EventLog {
  return {
    get logId() {
      return log.logId
    },
    async append(batch) {
      const failed = new Map<string, AppendOutcome>()
      const outcomes: (AppendOutcome | null)[] = batch.map((request) => {
        const kind = failure(request)
        if (failed.has(request.stream)) return { kind: 'untried' }
        if (kind !== 'unavailable' && kind !== 'unknown') return null
        failed.set(request.stream, { kind })
        return { kind }
      })
      const rest = await log.append(batch.filter((_request, index) => outcomes[index] === null))
      let next = 0
      return outcomes.map((outcome) => outcome ?? rest[next++] ?? { kind: 'unavailable' })
    },
    readStream: (stream, options) => log.readStream(stream, options),
    readEvent: (stream, id) => log.readEvent(stream, id),
    readAll: (options) => log.readAll(options),
    subscribe: (options) => log.subscribe(options),
    head: () => log.head(),
    close: () => log.close(),
  }
}
