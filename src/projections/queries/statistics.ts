import { otherName, otherStatus } from '../countedStatuses.ts'
import { projectionName } from '../projectionStore.ts'
import type { Stats } from '../readModel.ts'
import { schemaName } from '../schemaName.ts'

/** A count of operations by state, where `state` is set, or else by the status of a track; all null: there are none. */
export interface CountedColumns {
  readonly pipeline: string | null
  readonly state: string | null
  readonly track: string | null
  /** Null: the track has not started. */
  readonly status: string | null
  readonly operations: bigint | null
}

/**
 * The database adds up: parallel tracks may stand in as many combinations as there are operations, while what is counted
 * here are the statuses of definitions and the few that `any` has by name.
 */
export const statsStatement = {
  name: 'stats',
  text: `
    WITH s AS MATERIALIZED (
      SELECT pipeline, state, tracks, operations FROM ${schemaName}.shapes WHERE operations > 0
    ), counted AS (
      SELECT pipeline, state, NULL AS track, NULL AS status, sum(operations)::bigint AS operations FROM s GROUP BY 1, 2
      UNION ALL
      SELECT s.pipeline, NULL, t.key, t.value, sum(s.operations)::bigint
      FROM s CROSS JOIN LATERAL jsonb_each_text(s.tracks) t GROUP BY 1, 3, 4
    )
    SELECT c.position AS checkpoint, c.log_id, (SELECT count(*) FROM ${schemaName}.parked) AS parked, counted.*
    FROM ${schemaName}.checkpoints c
    LEFT JOIN counted ON true
    WHERE c.name = '${projectionName}'`,
}

interface PipelineStats {
  operations: number
  readonly states: Record<string, number>
  readonly tracks: Record<string, Record<string, number>>
}

export function statistics(rows: readonly CountedColumns[]): Stats['pipelines'] {
  const pipelines = record<PipelineStats>()
  for (const { pipeline, state, track, status, operations } of rows) {
    if (pipeline === null) continue
    const count = Number(operations)
    pipelines[pipeline] ??= { operations: 0, states: record(), tracks: record() }
    const stats = pipelines[pipeline]
    if (state !== null) {
      stats.operations += count
      stats.states[state] = count
    }
    if (track === null) continue
    stats.tracks[track] ??= record()
    // A track that has not started has no status to count.
    if (status !== null) stats.tracks[track][status === otherStatus ? otherName : status] = count
  }
  return pipelines
}

/** Statuses may be called `__proto__` or `constructor`. */
function record<T>(): Record<string, T> {
  return Object.create(null)
}
