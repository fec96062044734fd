import type { EventLog } from '../eventlog/eventLog.ts'
import type { FoldMemory } from './foldMemory.ts'
import type { RebuildProgress } from './readModel.ts'
import { type ProjectorSession, RefusedDataError } from './session.ts'

export interface RebuildParts {
  readonly session: ProjectorSession
  readonly log: EventLog
  readonly memory: FoldMemory
  readonly stopping: AbortSignal
  readonly onProgress?: ((progress: RebuildProgress) => void) | undefined
  /** Finds out which streams the database refuses, and remembers them in `memory`. */
  readonly condemn: (refusal: RefusedDataError) => Promise<void>
}

/** Larger batches than those of the live projector: nobody waits for them one by one. */
const batchEventsMax = 5_000

/**
 * Folds the whole log anew in one transaction: reads see the rows as they were until it is done. New events are folded
 * along, up to the head at its end. Throws when it fails or is stopped; the rows are as before then.
 *
 * One transaction keeps dead and new rows side by side and holds back vacuum while it lasts. Shadow tables would not;
 * the session's search_path is where they would come in.
 */
export async function rebuild(parts: RebuildParts): Promise<void> {
  // Each attempt meets one batch more that the database refuses in part.
  while (!(await attempt(parts))) parts.memory.forget()
  parts.memory.condemned.clear()
}

/** False when the database refused a stream: it is known now, and parked in the next attempt. */
async function attempt({ session, log, memory, stopping, condemn, onProgress }: RebuildParts): Promise<boolean> {
  memory.forget()
  let refused = false
  try {
    const head = await log.head()
    await session.rebuild(async (commit) => {
      for (let position = 0n; ; ) {
        if (stopping.aborted) throw new Error('the projector stops')
        const events = await log.readAll({ after: position, maxCount: batchEventsMax })
        if (events.length === 0) return
        const folding = memory.folding(position)
        const newer = await memory.fold(session, folding, events)
        if (newer !== null) throw newer
        const batch = folding.finish()
        try {
          await commit(batch)
        } catch (error) {
          if (!(error instanceof RefusedDataError)) throw error
          await condemn(error)
          refused = true
          throw error
        }
        position = batch.to
        onProgress?.({ position, head: position > head ? position : head })
      }
    })
  } catch (error) {
    if (!refused) throw error
  }
  return !refused
}
