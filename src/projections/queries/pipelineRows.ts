import type { JsonObject } from '../../operation/json.ts'
import { projectionName } from '../projectionStore.ts'
import type { PipelineRow } from '../readModel.ts'
import { schemaName } from '../schemaName.ts'
import type { CheckpointRow, Maybe } from './checkpointRow.ts'

export const definitionStatement = {
  name: 'definition',
  text: `SELECT definition FROM ${schemaName}.pipelines WHERE name = $1 AND version = $2::integer`,
}

export interface PipelineColumns {
  readonly name: string
  readonly version: number
  readonly definition: JsonObject
  readonly defined_at: string
}

export const pipelinesStatement = {
  name: 'pipelines',
  text: `
    SELECT c.position AS checkpoint, c.log_id, p.*
    FROM ${schemaName}.checkpoints c
    LEFT JOIN LATERAL (
      ${pipelineNames('$1', '$2::int')}
      SELECT p.name, p.version, p.definition, p.defined_at
      FROM names n CROSS JOIN LATERAL (
        SELECT name, version, definition, defined_at FROM ${schemaName}.pipelines
        WHERE name = n.name ORDER BY version DESC LIMIT 1
      ) p
    ) p ON true
    WHERE c.name = '${projectionName}'
    ORDER BY p.name`,
}

export const pipelineCountStatement = {
  name: 'pipeline_count',
  text: `
    ${pipelineNames("''", '$1::int')}
    SELECT c.position AS checkpoint, c.log_id, (SELECT count(*)::int FROM names) AS count
    FROM ${schemaName}.checkpoints c WHERE c.name = '${projectionName}'`,
}

/** One look into the index for each name: a pipeline may have very many versions. */
function pipelineNames(after: string, count: string): string {
  return `
    WITH RECURSIVE names AS (
      (SELECT name, 1 AS n FROM ${schemaName}.pipelines WHERE name > ${after} ORDER BY name LIMIT 1)
      UNION ALL
      SELECT next.name, names.n + 1 FROM names CROSS JOIN LATERAL (
        SELECT name FROM ${schemaName}.pipelines p WHERE p.name > names.name ORDER BY name LIMIT 1
      ) next WHERE names.n < ${count}
    )`
}

export function isPipeline(row: CheckpointRow & Maybe<PipelineColumns>): row is CheckpointRow & PipelineColumns {
  return row.name !== null
}

export function pipelineRow({ name, version, definition, defined_at: definedAt }: PipelineColumns): PipelineRow {
  return { name, version, definition, definedAt }
}
