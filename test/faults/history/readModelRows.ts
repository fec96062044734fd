import pg from 'pg'

/** The read model as its tables hold it: every column as text. */
export interface ReadModelRows {
  readonly checkpoint: string
  readonly operations: readonly Row[]
  /** Those that count an operation. */
  readonly shapes: readonly Row[]
  readonly parked: readonly Row[]
  readonly pipelines: readonly Row[]
}

export type Row = Readonly<Record<string, string | null>>

/** As one snapshot. */
export async function readReadModel(connectionString: string): Promise<ReadModelRows> {
  const client = new pg.Client({ connectionString, application_name: 'history checker' })
  client.on('error', () => undefined)
  await client.connect()
  const rows = async (text: string): Promise<readonly Row[]> => (await client.query<Row>(text)).rows
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    const [checkpoint] = await rows('SELECT position::text FROM waybill_read.checkpoints')
    return {
      checkpoint: checkpoint?.position ?? '',
      operations: await rows(
        `SELECT id, shape::text, updated_at::text, opened_at::text, since_at::text, heard_at::text, revision::text,
                position::text, facets::text, state, data, metadata,
                (SELECT coalesce(jsonb_object_agg(t.track, ARRAY[t.standing::text, t.since_at::text]), '{}')::text
                 FROM waybill_read.standings t WHERE t.id = o.id) AS standings
         FROM waybill_read.operations o ORDER BY id`,
      ),
      shapes: await rows(
        `SELECT id::text, pipeline, state, tracks::text, operations::text,
                jsonb_build_object(
                  'blocked', blocked, 'held', held, 'failed', failed, 'since', since, 'heard', heard, 'changedTracks', changed_tracks, 'standings',
                  (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each_text(standings))
                )::text AS flags
         FROM waybill_read.shapes WHERE operations <> 0 ORDER BY id`,
      ),
      parked: await rows(
        'SELECT stream, revision::text, position::text, reason, detail FROM waybill_read.parked ORDER BY stream',
      ),
      pipelines: await rows(
        'SELECT name, version::text, definition::text, defined_at FROM waybill_read.pipelines ORDER BY name, version',
      ),
    }
  } finally {
    await client.end()
  }
}
