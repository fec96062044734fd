import { LogUnavailableError } from '../eventlog/eventLog.ts'
import { UnreadableStreamError } from './commandService.ts'

/** Whatever keeps an event from being decoded or folded (poison, a newer schema) means one thing to commands: not on this node. */
export function unreadable<T>(fold: () => T): T {
  try {
    return fold()
  } catch (error) {
    if (error instanceof UnreadableStreamError || error instanceof LogUnavailableError) throw error
    throw new UnreadableStreamError(error instanceof Error ? error.message : String(error), { cause: error })
  }
}
