import type { RecordedEvent } from '../eventlog/eventLog.ts'

const recordedAtPattern = /"recordedAt":"([^"]{10,40})"/

/** The age of the oldest event that is known to be in the log and not in the read model. */
export class LagMeter {
  /** When the first event of the batch under way was recorded. */
  #workingSince: number | null = null
  /** When the log was first found to be ahead although nothing arrived. */
  #behindSince: number | null = null

  /** A batch is begun. Its first event's clock is that of the node that recorded it. */
  working(nowMs: number, first: RecordedEvent | undefined): void {
    const recordedAt = Date.parse(recordedAtPattern.exec(first?.metadata ?? '')?.[1] ?? '')
    this.#workingSince ??= Number.isNaN(recordedAt) ? nowMs : Math.min(recordedAt, nowMs)
    this.#behindSince = null
  }

  committed(): void {
    this.#workingSince = null
  }

  idle(): void {
    this.#workingSince = null
  }

  /** The log's head beside the read model's position, while this node folds nothing. */
  compare(nowMs: number, head: bigint, position: bigint): void {
    if (head <= position) this.#behindSince = null
    else this.#behindSince ??= nowMs
  }

  lagMs(nowMs: number, queuedSinceMs: number | null): number {
    const since = this.#workingSince ?? queuedSinceMs ?? this.#behindSince
    return since === null ? 0 : Math.max(0, nowMs - since)
  }
}
