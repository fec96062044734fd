import type { OperationState } from '../operation/state.ts'

/**
 * Stands, with `openedAt` added, for the time since when a track has its status where it has none: past every time that can
 * be written, so that these operations come last, in the order in which they were opened.
 */
export const noStatusMs = 2 ** 52

/** Since when the default track stands as it does, RFC 3339; null when it has no status, or the pipeline no default track. */
export function defaultSince({ pipeline, tracks }: OperationState): string | null {
  return pipeline.defaultTrack === null ? null : (tracks[pipeline.defaultTrack]?.since ?? null)
}

/** What the columns of times hold. */
export interface OperationTimes {
  readonly updatedAtMs: number
  readonly openedAtMs: number
  readonly sinceAtMs: number
  /** Null: never. */
  readonly heardAtMs: number | null
}

export function timesOf(state: OperationState): OperationTimes {
  const { updatedAt } = state
  const updatedAtMs = Date.parse(updatedAt)
  const openedAtMs = Date.parse(state.openedAt)
  const since = defaultSince(state)
  const heardAt = lastHeard(state)
  return {
    updatedAtMs,
    openedAtMs,
    // Mostly that of the last event, which is not parsed again.
    sinceAtMs: since === updatedAt ? updatedAtMs : since === null ? noStatusMs + openedAtMs : Date.parse(since),
    heardAtMs: heardAt === updatedAt ? updatedAtMs : heardAt === null ? null : Date.parse(heardAt),
  }
}

/** When the last report on any track was recorded, RFC 3339; null when none was. */
export function lastHeard({ tracks }: OperationState): string | null {
  let last: string | null = null
  for (const name of Object.keys(tracks)) {
    const heardAt = tracks[name]?.heardAt ?? null
    // All are written in one form, in which the later one is the greater text.
    if (heardAt !== null && (last === null || heardAt > last)) last = heardAt
  }
  return last
}
