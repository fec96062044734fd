import type { RecordedEvent } from '../../eventlog/eventLog.ts'
import { streamSubject } from '../../operation/streamName.ts'
import { interventionOf, interventionStream } from '../../projections/parking/interventions.ts'

/** The operation whose row an event may change: its own, or the one that a skip or a retry is about. Null: none. */
export function concernedOperation(event: RecordedEvent): string | null {
  const stream = event.stream === interventionStream ? intervenedStream(event) : event.stream
  const subject = stream === null ? null : streamSubject(stream)
  return subject?.kind === 'operation' ? subject.name : null
}

function intervenedStream(event: RecordedEvent): string | null {
  try {
    return interventionOf(event).stream
  } catch {
    // The projection does nothing about it either.
    return null
  }
}
