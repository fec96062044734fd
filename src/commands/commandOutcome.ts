import type { EventLog, RecordedEvent } from '../eventlog/eventLog.ts'
import { receiptOutcome } from '../operation/decision.ts'
import { eventId } from '../operation/eventId.ts'
import { operationStream } from '../operation/streamName.ts'
import { heldReasonNow } from '../operation/view.ts'
import type { CommandOutcome, LoadedOperation } from './commandService.ts'
import type { OperationLoader } from './operationLoader.ts'
import type { Receipt } from './receipts.ts'
import { decodeAlone } from './unreadable.ts'

export interface CommandOutcomesOptions {
  readonly log: EventLog
  readonly loader: OperationLoader
  /** The operation folded to at least all the log had when the call came. */
  readonly load: (operation: string) => Promise<LoadedOperation | null>
}

/**
 * What became of the command that appended under a key, from the log itself: its receipt and, of a report that was held, what
 * it has come to since. Null when none appended under it. Throws LogUnavailableError, UnreadableStreamError.
 */
export function createCommandOutcomes({ log, loader, load }: CommandOutcomesOptions) {
  /** The event under the key that comes after those of its own append: the report's release, or its drop. */
  async function readSettled(operation: string, key: string, { opened }: Receipt): Promise<CommandOutcome['now']> {
    const stream = operationStream(operation)
    const settled = await log.readEvent(stream, eventId(stream, key, opened ? 2 : 1))
    return settled === null ? null : settledOutcome(settled)
  }

  return async (operation: string, key: string): Promise<CommandOutcome | null> => {
    const receipt = await loader.receipt(operation, key)
    if (receipt === null) return null
    if (receipt.outcome !== 'held') return { receipt, now: null }
    const settled = await readSettled(operation, key, receipt)
    if (settled !== null) return { receipt, now: settled }
    const state = (await load(operation))?.state
    const held = state?.held.find((report) => report.key === key)
    if (state !== undefined && held !== undefined) {
      const { revision, position } = receipt
      return { receipt, now: { outcome: 'held', reason: heldReasonNow(state, held), revision, position } }
    }
    // Settled between the two reads.
    return { receipt, now: await readSettled(operation, key, receipt) }
  }
}

function settledOutcome(recorded: RecordedEvent): NonNullable<CommandOutcome['now']> {
  const { revision, position } = recorded
  const { outcome, reason } = receiptOutcome([decodeAlone(recorded)])
  return reason === undefined ? { outcome, revision, position } : { outcome, reason, revision, position }
}
