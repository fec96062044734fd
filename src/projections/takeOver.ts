import type { EventLog } from '../eventlog/eventLog.ts'
import type { CheckpointSignal } from './checkpointSignal.ts'
import type { FoldMemory } from './foldMemory.ts'
import { foldVersion, type ProjectorSession, projectionName } from './projectionStore.ts'
import type { ProjectionLogger, ProjectorPhase } from './readModel.ts'

/** Ends the run for good: there is nothing to retry. */
export class StoppedError extends Error {
  readonly phase: ProjectorPhase

  constructor(phase: ProjectorPhase, message: string, options?: ErrorOptions) {
    super(message, options)
    this.phase = phase
  }
}

interface TakeOverParts {
  readonly log: Pick<EventLog, 'logId' | 'head'>
  readonly signal: CheckpointSignal
  readonly logger?: ProjectionLogger
}

/**
 * Makes this node the one that projects, and reads what it must know of the rows into `memory`. Rows of another log are
 * dropped.
 *
 * @returns the position to resume from, and whether the rows are of an older fold, which is not resumed; null: the projection
 *   is paused
 * @throws {StoppedError} for rows that this node must not touch; and what the log or the database throws
 */
export async function takeOver(
  session: ProjectorSession,
  memory: FoldMemory,
  { log, signal, logger }: TakeOverParts,
): Promise<{ readonly position: bigint; readonly older: boolean } | null> {
  const { epoch, position, logId, foldVersion: rowsVersion, paused } = await session.takeOver()
  if (paused) return null
  if (rowsVersion !== null && rowsVersion > foldVersion) {
    throw new StoppedError(
      'newer_schema',
      `a newer node folded the rows (${rowsVersion}; this one makes ${foldVersion})`,
    )
  }
  if (logId !== log.logId || rowsVersion === null) {
    if (logId !== null)
      logger?.warn({ logId: log.logId, logIdOfRows: logId }, 'the read model is dropped and projected anew')
    await session.startOver(log.logId)
    signal.reset(0n)
    signal.publish(true)
    return { position: 0n, older: false }
  }
  const head = await log.head()
  if (head < position) {
    throw new StoppedError(
      'log_behind',
      `the log ends at ${head}, before the checkpoint ${position}: events are missing`,
    )
  }
  const older = rowsVersion < foldVersion
  // Definitions of an older fold may be ones that this node cannot read.
  if (older) await session.rows.loadParked(memory.parked)
  else await memory.learn(session.rows)
  const { tampered } = memory.parked
  if (tampered > 0) logger?.error({ tampered }, 'streams are set aside because they were tampered with')
  signal.observe(position)
  signal.publish(true)
  logger?.info({ projection: projectionName, epoch: String(epoch), position: String(position) }, 'projecting')
  return { position, older }
}
