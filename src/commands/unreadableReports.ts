import { TamperedError } from '../operation/verifyStream.ts'
import type { CommandLogger } from './createCommandService.ts'

/** Tells of streams that cannot be read: what may come with every command must not fill the log. */
export interface UnreadableReports {
  report(stream: string, error: unknown): void
  /** Reports since the start, said or not. */
  readonly count: () => number
}

const intervalMs = 60_000
/** Streams told of in one interval, and kept in memory for it. */
const streamsMax = 100

/** Each stream once an interval; what was left unsaid is counted with the next line. */
export function createUnreadableReports(
  logger: CommandLogger | undefined,
  monotonicMs: () => number,
): UnreadableReports {
  const told = new Set<string>()
  let until = Number.NEGATIVE_INFINITY
  let count = 0
  let unsaid = 0
  return {
    report(stream, error) {
      count += 1
      const nowMs = monotonicMs()
      if (nowMs >= until) {
        told.clear()
        until = nowMs + intervalMs
      }
      if (told.has(stream) || told.size >= streamsMax) {
        unsaid += 1
        return
      }
      told.add(stream)
      const tampered = error instanceof Error && error.cause instanceof TamperedError
      logger?.error({ err: error, stream, unsaid }, tampered ? 'stream tampered with' : 'stream unreadable')
      unsaid = 0
    },
    count: () => count,
  }
}
