import { schemaName } from './schemaName.ts'

/** Of the active operations whose track is in a status, the one that was not heard of for the longest time. */
export interface OldestInStatus {
  readonly pipeline: string
  readonly track: string
  readonly status: string
  /** Of its last event, in milliseconds since 1970. */
  readonly updatedAtMs: number
}

/** Each costs a look at the index (shape, updated_at): 10,000 of them, of 20,000 shapes and 600,000 operations, took 150 to 330 ms. */
const shapesMax = 10_000

export interface OldestColumns {
  readonly pipeline: string
  readonly tracks: Readonly<Record<string, string | null>>
  readonly updated_at: bigint
}

/** One row for each shape of active operations; of more than `shapesMax`, those that most operations have. */
export const oldestStatement = {
  name: 'oldest_in_status',
  text: `
    SELECT c.position AS checkpoint, c.log_id, oldest.pipeline, oldest.tracks, oldest.updated_at
    FROM ${schemaName}.checkpoints c
    LEFT JOIN LATERAL (
      SELECT s.pipeline, s.tracks, o.updated_at
      FROM (
        SELECT id, pipeline, tracks FROM ${schemaName}.shapes
        WHERE state = 'active' AND operations > 0 ORDER BY operations DESC LIMIT ${shapesMax}
      ) s
      CROSS JOIN LATERAL (
        SELECT updated_at FROM ${schemaName}.operations WHERE shape = s.id ORDER BY updated_at LIMIT 1
      ) o
    ) oldest ON true
    WHERE c.name = 'operations'`,
}

export function oldestInStatus(rows: readonly OldestColumns[]): OldestInStatus[] {
  const oldest = new Map<string, OldestInStatus>()
  for (const { pipeline, tracks, updated_at: updatedAt } of rows) {
    const updatedAtMs = Number(updatedAt)
    for (const [track, status] of Object.entries(tracks)) {
      // A track that has not started is in no status.
      if (status === null) continue
      const key = `${pipeline} ${track} ${status}`
      if (updatedAtMs < (oldest.get(key)?.updatedAtMs ?? Number.POSITIVE_INFINITY)) {
        oldest.set(key, { pipeline, track, status, updatedAtMs })
      }
    }
  }
  return [...oldest.values()]
}
