import { encode } from '../operation/envelope.ts'
import type { OperationState } from '../operation/state.ts'
import type { Accepted, Encoded } from './commandChain.ts'
import type { PendingCommand } from './streamQueue.ts'

/** What was decided on `state`, as a request to the log that holds only if the stream still stands there. */
export function encodeRequest(pending: PendingCommand, decision: Accepted, state: OperationState | null): Encoded {
  const sealed = encode(state, decision, pending.command.key)
  let units = 0
  for (const event of sealed.events) units += event.data.length + event.metadata.length
  return {
    request: {
      stream: sealed.stream,
      expectedRevision: state === null ? 'noStream' : state.revision,
      events: sealed.events,
    },
    stateAfter: sealed.state,
    units,
  }
}
