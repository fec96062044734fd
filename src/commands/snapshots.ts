import type { SnapshotStore } from '../snapshots/snapshotStore.ts'
import type { PipelineCatalog } from './pipelineCatalog.ts'
import { type Confirmed, restoreSnapshot, serialiseSnapshot } from './snapshotText.ts'
import type { StreamQueue } from './streamQueue.ts'

/**
 * Snapshots of long operations: read when one is loaded, written when it has grown. The log alone is what counts: a
 * snapshot that is missing, damaged or does not fit costs time and nothing else.
 */
export interface Snapshots {
  /** Null: read the stream from its beginning. Never rejects. */
  find(operation: string): Promise<Confirmed | null>
  /** Writes one soon, if the queue holds as many events more than the last one as a snapshot is worth. */
  consider(queue: StreamQueue): void
  /** What `find` gave does not fit the stream. */
  distrust(operation: string, reason: unknown): void
}

export interface SnapshotsOptions {
  readonly store: SnapshotStore
  readonly catalog: PipelineCatalog
  /** A snapshot is written after so many events of one operation. */
  readonly every: number
  readonly monotonicMs: () => number
  readonly logger: SnapshotLogger | undefined
}

/** The part of a pino logger that this file uses. */
export interface SnapshotLogger {
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
}

/** Queues waiting for their snapshot to be written; there is always a next time. */
const waitingMax = 64
/** After a failure nothing is written for so long. */
const pauseMs = 10_000

export function createSnapshots({ store, catalog, every, monotonicMs, logger }: SnapshotsOptions): Snapshots {
  const waiting = new Set<StreamQueue>()
  let writing = false
  let pausedUntilMs = Number.NEGATIVE_INFINITY

  const pause = (error: unknown, what: string): void => {
    if (monotonicMs() >= pausedUntilMs) logger?.warn({ err: error }, what)
    pausedUntilMs = monotonicMs() + pauseMs
  }

  const isDue = ({ state, knowledge, snapshotRevision }: StreamQueue): boolean =>
    knowledge === 'confirmed' && state !== null && Number(state.revision - snapshotRevision) >= every

  async function write(queue: StreamQueue): Promise<void> {
    const { operation, state, position, receipts } = queue
    if (state === null || !isDue(queue)) return
    queue.snapshotRevision = state.revision
    const text = serialiseSnapshot({ state, position, receipts })
    await store.write({ operation, revision: state.revision, text })
  }

  /** One after the other: a snapshot is never urgent. */
  async function writeAll(): Promise<void> {
    for (const queue of waiting) {
      waiting.delete(queue)
      try {
        await write(queue)
      } catch (error) {
        pause(error, 'snapshots cannot be written')
        waiting.clear()
      }
    }
    writing = false
  }

  return {
    async find(operation) {
      try {
        const text = await store.read(operation)
        return text === null ? null : await restoreSnapshot(text, catalog)
      } catch (error) {
        pause(error, 'a snapshot cannot be read')
        return null
      }
    },
    consider(queue) {
      if (!isDue(queue) || waiting.size >= waitingMax || monotonicMs() < pausedUntilMs) return
      waiting.add(queue)
      if (writing) return
      writing = true
      void writeAll()
    },
    distrust(operation, reason) {
      logger?.warn({ err: reason, operation }, 'a snapshot does not fit its stream: read from the beginning')
    },
  }
}

export const noSnapshots: Snapshots = {
  find: async () => null,
  consider: () => undefined,
  distrust: () => undefined,
}
