// Appends through Waybill's port, gathered by the product's own group commit: all that came while a batch is on its way
// makes the next one.
import { createAppendBatcher } from '../../../dist/commands/appendBatcher.js'
import { defaultCommandLimits } from '../../../dist/commands/commandLimits.js'
import { eventId } from '../../../dist/operation/eventId.js'

/** @param log an open EventLog */
export function appendThroughPort(log) {
  const unused = () => {
    throw new Error('no command, no queue')
  }
  const batcher = createAppendBatcher({
    log,
    limits: defaultCommandLimits,
    monotonicMs: () => performance.now(),
    build: unused,
    settle: unused,
    arrivals: () => 0,
    reportBug: (bug) => process.stderr.write(`${bug.stack ?? bug}\n`),
  })
  return {
    async append(stream, revision, { type, data, metadata }) {
      const event = {
        id: eventId(stream, metadata.command, 0),
        type,
        data: JSON.stringify(data),
        metadata: JSON.stringify(metadata),
      }
      const outcome = await batcher.append({ stream, expectedRevision: revision ?? 'noStream', events: [event] })
      if (outcome.kind !== 'appended') throw new Error(`an append came back as ${outcome.kind}`)
      return outcome.revision
    },
    close: () => log.close(),
  }
}
