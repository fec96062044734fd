import type { EventLog } from '../../../src/eventlog/eventLog.ts'

/** A log that a rebuild reads ten events at a time and up to `position` only, until the gate is opened. */
export interface GatedLog {
  readonly log: EventLog
  /** Where each read of the rebuild began. */
  readonly reads: readonly bigint[]
  /** Settles when the rebuild stands before the gate. */
  readonly reached: Promise<void>
  open(): void
}

export function gatedLog(log: EventLog, position: bigint): GatedLog {
  const reads: bigint[] = []
  let reach: () => void = () => undefined
  let open: () => void = () => undefined
  const reached = new Promise<void>((resolve) => {
    reach = resolve
  })
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return {
    reads,
    reached,
    open,
    log: {
      ...log,
      async readAll(options) {
        reads.push(options.after)
        if (options.after >= position) {
          reach()
          await opened
        }
        return log.readAll({ ...options, maxCount: 10 })
      },
    },
  }
}
