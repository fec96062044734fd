import { otherName, otherStatus } from '../countedStatuses.ts'
import { schemaName } from '../schemaName.ts'

/** Of the active operations whose track is in a status, the one whose track has been in it the longest. */
export interface OldestInStatus {
  readonly pipeline: string
  readonly track: string
  readonly status: string
  /** When that track got the status, in milliseconds since 1970. */
  readonly sinceAtMs: number
}

/** Each costs a look at an index: 10,000 of them, of 20,000 shapes and 600,000 operations, took 150 to 330 ms. */
const shapesMax = 10_000

export interface OldestColumns {
  readonly pipeline: string
  readonly track: string
  readonly status: string
  readonly since_at: bigint
}

/**
 * One row for the default track of each shape of active operations, and one for each status of the other tracks; of more
 * than `shapesMax` shapes, those that most operations have. The default track is the one that has no standing of its own.
 */
export const oldestStatement = {
  name: 'oldest_in_status',
  text: `
    WITH active AS MATERIALIZED (
      SELECT id, pipeline, tracks, standings FROM ${schemaName}.shapes
      WHERE state = 'active' AND operations > 0 ORDER BY operations DESC LIMIT ${shapesMax}
    ), standing AS MATERIALIZED (
      SELECT DISTINCT a.pipeline, s.key AS track, a.tracks ->> s.key AS status, s.value::text::bigint AS standing
      FROM active a CROSS JOIN LATERAL jsonb_each(a.standings) s
    )
    SELECT c.position AS checkpoint, c.log_id, oldest.pipeline, oldest.track, oldest.status, oldest.since_at
    FROM ${schemaName}.checkpoints c
    LEFT JOIN LATERAL (
      SELECT a.pipeline, t.key AS track, t.value AS status, o.since_at
      FROM active a
      CROSS JOIN LATERAL jsonb_each_text(a.tracks) t
      CROSS JOIN LATERAL (
        SELECT since_at FROM ${schemaName}.operations WHERE shape = a.id ORDER BY since_at LIMIT 1
      ) o
      WHERE t.value IS NOT NULL AND NOT a.standings ? t.key
      UNION ALL
      SELECT s.pipeline, s.track, s.status, o.since_at
      FROM standing s
      CROSS JOIN LATERAL (
        SELECT since_at FROM ${schemaName}.standings WHERE standing = s.standing ORDER BY since_at LIMIT 1
      ) o
    ) oldest ON true
    WHERE c.name = 'operations'`,
}

export function oldestInStatus(rows: readonly OldestColumns[]): OldestInStatus[] {
  const oldest = new Map<string, OldestInStatus>()
  for (const { pipeline, track, status: counted, since_at: sinceAt } of rows) {
    const status = counted === otherStatus ? otherName : counted
    const sinceAtMs = Number(sinceAt)
    const key = `${pipeline} ${track} ${status}`
    if (sinceAtMs < (oldest.get(key)?.sinceAtMs ?? Number.POSITIVE_INFINITY)) {
      oldest.set(key, { pipeline, track, status, sinceAtMs })
    }
  }
  return [...oldest.values()]
}
