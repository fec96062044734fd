import { projectionName } from '../projectionStore.ts'
import type { ParkedStream } from '../readModel.ts'
import { schemaName } from '../schemaName.ts'
import type { CheckpointRow, Maybe } from './checkpointRow.ts'

export const parkedStatement = {
  name: 'parked_streams',
  text: `
    SELECT c.position AS checkpoint, c.log_id, p.*
    FROM ${schemaName}.checkpoints c
    LEFT JOIN LATERAL (
      SELECT stream, revision, position, reason, detail FROM ${schemaName}.parked WHERE stream > $1 ORDER BY stream LIMIT $2::int
    ) p ON true
    WHERE c.name = '${projectionName}'
    ORDER BY p.stream`,
}

export const parkedStreamStatement = {
  name: 'parked_stream',
  text: `
    SELECT c.position AS checkpoint, c.log_id, p.stream, p.revision, p.position, p.reason, p.detail
    FROM ${schemaName}.checkpoints c
    LEFT JOIN ${schemaName}.parked p ON p.stream = $1
    WHERE c.name = '${projectionName}'`,
}

export function isParked(row: CheckpointRow & Maybe<ParkedStream>): row is CheckpointRow & ParkedStream {
  return row.stream !== null
}

export function parkedStream({ stream, revision, position, reason, detail }: ParkedStream): ParkedStream {
  return { stream, revision, position, reason, detail }
}
