import { anyPipeline } from '../operation/pipeline.ts'
import type { Batch } from './batch.ts'
import type { DatabaseSession } from './databaseSession.ts'
import { projectionName } from './projectionStore.ts'

/** After so many departures the table is looked through, and after a part of its rows: some rows for each departure. */
const departuresMin = 1_000
const rowsPerDeparture = 16

/**
 * Deletes the rows of shapes that no operation has any more, so that lists and counts go over no more of them than there are
 * operations, and a few: one operation with parallel tracks can pass through any number. Those of pipeline `any` stay: they
 * say which statuses are counted by name (CountedStatuses).
 */
export class EmptyShapes {
  readonly #session: Pick<DatabaseSession, 'query'>
  readonly #epoch: bigint
  /** What was left before is looked for with the first batch. */
  #departures = departuresMin
  #lookAt = departuresMin

  constructor(session: Pick<DatabaseSession, 'query'>, epoch: bigint) {
    this.#session = session
    this.#epoch = epoch
  }

  /** After a batch was committed. */
  async left(batch: Batch): Promise<void> {
    for (const write of batch.writes) {
      if (write.kind === 'operation' && write.shapeBefore !== null && write.shapeBefore.id !== write.shape.id) {
        this.#departures += 1
      }
    }
    if (this.#departures < this.#lookAt) return
    const rows = await this.#delete()
    this.#lookAt = Math.max(departuresMin, Math.ceil(rows / rowsPerDeparture))
    this.#departures = 0
  }

  /** About how many rows there are. What cannot be deleted now is next time: the batch is written all the same, and a lost connection shows by itself. */
  async #delete(): Promise<number> {
    try {
      const { rows } = await this.#session.query<{ rows: number }>({
        name: 'delete_empty_shapes',
        text: `
          WITH owner AS (SELECT FROM checkpoints WHERE name = $1 AND epoch = $2 FOR UPDATE), deleted AS (
            DELETE FROM shapes WHERE operations = 0 AND pipeline <> $3 AND EXISTS (SELECT FROM owner)
          ) SELECT reltuples::integer AS rows FROM pg_class WHERE oid = 'shapes'::regclass`,
        values: [projectionName, this.#epoch, anyPipeline.name],
      })
      return rows[0]?.rows ?? 0
    } catch {
      return 0
    }
  }
}
