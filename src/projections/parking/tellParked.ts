import type { ParkWrite } from '../batch.ts'
import { type ProjectionLogger, tamperedReason } from '../readModel.ts'

/** Tells the log of this process that a stream was set aside, and why. */
export function tellParked(logger: ProjectionLogger | undefined, park: ParkWrite): void {
  const { stream, revision, reason, detail } = park
  const message = reason === tamperedReason ? 'a stream was tampered with: it is parked' : 'a stream is parked'
  logger?.error({ stream, revision: String(revision), reason, detail }, message)
}
