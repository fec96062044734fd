import { LogUnavailableError, type RecordedEvent } from '../eventlog/eventLog.ts'
import { NewerSchemaError } from '../operation/eventSchemas.ts'
import { type DecodedOperationEvent, decodeOperationEvent } from '../operation/fold.ts'
import { expectSealed, TamperedError } from '../operation/verifyStream.ts'
import { type CommandFailure, UnreadableStreamError } from './commandService.ts'

/** Whatever keeps an event from being decoded or folded (poison, a newer schema) means one thing to commands: not on this node. */
export function unreadable<T>(fold: () => T): T {
  try {
    return fold()
  } catch (error) {
    if (error instanceof UnreadableStreamError || error instanceof LogUnavailableError) throw error
    throw new UnreadableStreamError(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

/** An event of an operation without those before it: it is held against its own hash alone. Throws UnreadableStreamError. */
export function decodeAlone(recorded: RecordedEvent): DecodedOperationEvent {
  return unreadable(() => {
    expectSealed(recorded)
    return decodeOperationEvent(recorded)
  })
}

/**
 * What a failed read means to a command. A stream that a newer node wrote is nothing wrong with the stream: during a
 * rolling upgrade another node can take the command.
 */
export function failureOf(error: unknown): CommandFailure['code'] {
  if (!(error instanceof UnreadableStreamError) || error.cause instanceof NewerSchemaError) return 'log_unavailable'
  return error.cause instanceof TamperedError ? 'tampered' : 'unreadable'
}
