-- What lists ask beyond statuses and the time of the last event: since when a track has stood as it does, when an operation
-- was last heard of, whether reports are held, whether it is blocked, whether a track failed.
--
-- Nodes of before go on writing while newer ones are brought in: they call commit_batch, and their rows get the defaults
-- below. The first newer node that projects makes all rows anew, as its fold is of a newer version.
--
-- Readers wait while the index is built: some seconds for a million operations.

-- Each of these belongs to how an operation stands, so that filters by them pick shapes and look at no row.
ALTER TABLE waybill_read.shapes
  -- Active, and no status of any track can be entered any more.
  ADD COLUMN blocked boolean NOT NULL DEFAULT false,
  -- At least one report is held.
  ADD COLUMN held boolean NOT NULL DEFAULT false,
  -- At least one track has failed, whatever the state.
  ADD COLUMN failed boolean NOT NULL DEFAULT false,
  -- Which event set the status of the default track: the operation's 'last' one, an 'earlier' one, or 'none' (it has no
  -- status). Where it was the last one, `since_at` is `updated_at`, and the index of that answers for it.
  ADD COLUMN since text COLLATE "C" NOT NULL DEFAULT 'earlier',
  -- The same for the report that was recorded last, on whichever track.
  ADD COLUMN heard text COLLATE "C" NOT NULL DEFAULT 'earlier',
  -- The tracks beside the default one whose status the operation's last event set: of those, too, the times are the same.
  ADD COLUMN changed_tracks text[] COLLATE "C" NOT NULL DEFAULT '{}',
  -- {"<track>": <standing>} of the tracks that have rows in `standings`.
  ADD COLUMN standings jsonb NOT NULL DEFAULT '{}';

ALTER TABLE waybill_read.operations
  -- Milliseconds since 1970: when the default track got its status. Where it has none, 2^52 + opened_at: behind all that
  -- have one, in the order in which they were opened.
  ADD COLUMN since_at bigint NOT NULL DEFAULT 4503599627370496,
  -- When the last report on any track was recorded; null when none was.
  ADD COLUMN heard_at bigint;

CREATE INDEX operations_shape_since_at_idx ON waybill_read.operations (shape, since_at);

-- The tracks beside the default one, once they have a status: since when. Written when one changes its status, or the
-- operation its state; operations with one track have no rows here.
CREATE TABLE waybill_read.standings (
  id text COLLATE "C" NOT NULL,
  track text COLLATE "C" NOT NULL,
  -- A hash of pipeline, state, track and status.
  standing bigint NOT NULL,
  since_at bigint NOT NULL,
  CONSTRAINT standings_pkey PRIMARY KEY (id, track)
) WITH (
  fillfactor = 90,
  autovacuum_vacuum_scale_factor = 0.05,
  autovacuum_vacuum_insert_scale_factor = 0.1,
  autovacuum_analyze_scale_factor = 0.05,
  autovacuum_vacuum_cost_delay = 1
);

CREATE INDEX standings_standing_since_at_idx ON waybill_read.standings (standing, since_at);

CREATE OR REPLACE FUNCTION waybill_read.rebuilt_tables() RETURNS text[]
LANGUAGE sql IMMUTABLE
AS $$ SELECT ARRAY['shapes', 'operations', 'standings', 'parked', 'pipelines'] $$;

-- commit_batch (0001_read_model.sql) and commit_revisiting_batch (0003_control.sql) in one, with the columns above. In the
-- columns since and heard an empty line is the time of the last event, and in heard a 0 is none. `gone_standings` and
-- `revisits` are null for nearly all batches.
CREATE FUNCTION waybill_read.commit_batch_v2(
  projection text, writer_epoch bigint, from_position bigint, to_position bigint,
  opened_ids text, opened_shapes text, opened_updated text, opened_opened text, opened_since text, opened_heard text,
  opened_revisions text, opened_positions text, opened_facets text, opened_states text, opened_data text,
  opened_metadata text,
  changed_ids text, changed_shapes text, changed_updated text, changed_since text, changed_heard text,
  changed_revisions text, changed_positions text, changed_facets text, changed_states text, changed_data text,
  changed_metadata text,
  standing_ids text, standing_tracks text, standing_hashes text, standing_since text, gone_standings json,
  shape_changes json, newly_parked json, newly_defined json, revisits json
) RETURNS void
LANGUAGE plpgsql
-- The plans are made once a session, perhaps on empty tables without statistics: only lookups by key are right at any size.
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_seqscan = off
AS $$
DECLARE
  expected bigint;
  written bigint;
BEGIN
  UPDATE checkpoints SET position = to_position
  WHERE name = projection AND position = from_position AND epoch = writer_epoch;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'projection % is no longer written by epoch %', projection, writer_epoch USING ERRCODE = 'WB001';
  END IF;

  IF opened_ids <> '' THEN
    INSERT INTO operations (
      id, shape, updated_at, opened_at, since_at, heard_at, revision, position, facets, state, data, metadata
    )
    SELECT v.id, v.shape, v.updated_at, v.opened_at, coalesce(v.since_at, v.updated_at),
           nullif(coalesce(v.heard_at, v.updated_at), 0), v.revision, v.position, v.facets::integer[],
           v.state, v.data, v.metadata
    FROM unnest(
      string_to_array(opened_ids, E'\n'),
      string_to_array(opened_shapes, E'\n')::bigint[],
      string_to_array(opened_updated, E'\n')::bigint[],
      string_to_array(opened_opened, E'\n')::bigint[],
      string_to_array(opened_since, E'\n', '')::bigint[],
      string_to_array(opened_heard, E'\n', '')::bigint[],
      string_to_array(opened_revisions, E'\n')::bigint[],
      string_to_array(opened_positions, E'\n')::bigint[],
      string_to_array(opened_facets, E'\n', ''),
      string_to_array(opened_states, E'\n'),
      string_to_array(opened_data, E'\n'),
      string_to_array(opened_metadata, E'\n')
    ) AS v (id, shape, updated_at, opened_at, since_at, heard_at, revision, position, facets, state, data, metadata);
  END IF;

  IF changed_ids <> '' THEN
    -- Null data or metadata: unchanged. The row then keeps its reference to what is stored out of line. Facets are
    -- those of the metadata: '-' leaves them as they are.
    UPDATE operations o
    SET shape = v.shape, updated_at = v.updated_at, since_at = coalesce(v.since_at, v.updated_at),
        heard_at = nullif(coalesce(v.heard_at, v.updated_at), 0), revision = v.revision, position = v.position,
        state = v.state,
        facets = CASE WHEN v.facets = '-' THEN o.facets ELSE v.facets::integer[] END,
        data = coalesce(v.data, o.data), metadata = coalesce(v.metadata, o.metadata)
    FROM unnest(
      string_to_array(changed_ids, E'\n'),
      string_to_array(changed_shapes, E'\n')::bigint[],
      string_to_array(changed_updated, E'\n')::bigint[],
      string_to_array(changed_since, E'\n', '')::bigint[],
      string_to_array(changed_heard, E'\n', '')::bigint[],
      string_to_array(changed_revisions, E'\n')::bigint[],
      string_to_array(changed_positions, E'\n')::bigint[],
      string_to_array(changed_facets, E'\n', ''),
      string_to_array(changed_states, E'\n'),
      string_to_array(changed_data, E'\n', ''),
      string_to_array(changed_metadata, E'\n', '')
    ) AS v (id, shape, updated_at, since_at, heard_at, revision, position, facets, state, data, metadata)
    WHERE o.id = v.id;
    GET DIAGNOSTICS written = ROW_COUNT;
    expected := cardinality(string_to_array(changed_ids, E'\n'));
    IF written <> expected THEN
      RAISE EXCEPTION 'projection %: % of % rows to change are there', projection, written, expected USING ERRCODE = 'WB002';
    END IF;
  END IF;

  IF standing_ids <> '' THEN
    INSERT INTO standings AS s (id, track, standing, since_at)
    SELECT v.id, v.track, v.standing, v.since_at
    FROM unnest(
      string_to_array(standing_ids, E'\n'),
      string_to_array(standing_tracks, E'\n'),
      string_to_array(standing_hashes, E'\n')::bigint[],
      string_to_array(standing_since, E'\n')::bigint[]
    ) AS v (id, track, standing, since_at)
    ON CONFLICT ON CONSTRAINT standings_pkey DO UPDATE SET standing = excluded.standing, since_at = excluded.since_at;
  END IF;

  IF gone_standings IS NOT NULL THEN
    DELETE FROM standings s USING json_to_recordset(gone_standings) AS v (id text, track text)
    WHERE s.id = v.id AND s.track = v.track;
  END IF;

  INSERT INTO shapes AS s (
    id, pipeline, state, tracks, blocked, held, failed, since, heard, changed_tracks, standings, operations
  )
  SELECT v.id, v.pipeline, v.state, v.tracks, v.blocked, v.held, v.failed, v.since, v.heard, v."changedTracks", v.standings,
         v.operations
  FROM json_to_recordset(shape_changes) AS v (
    id bigint, pipeline text, state text, tracks jsonb, blocked boolean, held boolean, failed boolean, since text,
    heard text, "changedTracks" text[], standings jsonb, operations bigint
  )
  ON CONFLICT ON CONSTRAINT shapes_pkey DO UPDATE SET operations = s.operations + excluded.operations;

  -- Those that are folded again, and those that are parked anew further on.
  IF revisits IS NOT NULL THEN
    DELETE FROM parked WHERE stream IN (
      SELECT v.stream FROM json_to_recordset(revisits) AS v (stream text, unparked boolean) WHERE v.unparked
      UNION ALL
      SELECT v.stream FROM json_to_recordset(coalesce(newly_parked, '[]')) AS v (stream text)
    );
  END IF;

  IF newly_parked IS NOT NULL THEN
    INSERT INTO parked (stream, revision, position, reason, detail)
    SELECT v.stream, v.revision, v.position, v.reason, v.detail
    FROM json_to_recordset(newly_parked) AS v (stream text, revision bigint, position bigint, reason text, detail text);
  END IF;

  IF newly_defined IS NOT NULL THEN
    INSERT INTO pipelines (name, version, definition, defined_at)
    SELECT v.name, v.version, v.definition, v.defined_at
    FROM json_to_recordset(newly_defined) AS v (name text, version integer, definition json, defined_at text);
  END IF;

  IF revisits IS NOT NULL THEN
    UPDATE operations o SET revisited_at = v.position
    FROM json_to_recordset(revisits) AS v (operation text, position bigint)
    WHERE o.id = v.operation;
  END IF;
END
$$;
