-- The read model: what queries read, folded from the log by one projector at a time. Everything here is a function of
-- the log; dropping it loses nothing but the time to fold it again.

CREATE SCHEMA waybill_read;

-- One row per projection. Rewritten with every batch: a page for itself and no index on what changes, so that each
-- update is a HOT one (correctness.md row 12).
CREATE TABLE waybill_read.checkpoints (
  name text NOT NULL,
  -- The position up to which the log is folded.
  position bigint NOT NULL,
  -- Raised by whoever takes the projection over; a writer of an older epoch writes nothing (correctness.md row 13).
  epoch bigint NOT NULL,
  -- The log the position belongs to; null until a projector has started. Of another log, the rows are dropped.
  log_id text,
  -- What made the rows; null until a projector has started. Rows of an older fold are dropped likewise.
  fold_version integer,
  CONSTRAINT checkpoints_pkey PRIMARY KEY (name)
) WITH (fillfactor = 10);

INSERT INTO waybill_read.checkpoints (name, position, epoch, log_id) VALUES ('operations', 0, 0, NULL);

-- A shape is what the filters and the counts ask of an operation, in one value: pipeline, state, and the status of each
-- track. Thousands of operations share one. Its number of operations is the whole of the statistics, and its id leads
-- the index of the lists: a filter by pipeline, track, status and state, in any combination, picks a few shapes, and
-- each of them is read in order. Ids are hashes, so that a rebuild finds the same ones.
CREATE TABLE waybill_read.shapes (
  id bigint NOT NULL,
  pipeline text COLLATE "C" NOT NULL,
  state text COLLATE "C" NOT NULL,
  -- {"<track>": "<status>" or null}
  tracks jsonb NOT NULL,
  operations bigint NOT NULL,
  CONSTRAINT shapes_pkey PRIMARY KEY (id)
) WITH (fillfactor = 50);

CREATE TABLE waybill_read.operations (
  id text COLLATE "C" NOT NULL,
  shape bigint NOT NULL,
  -- Milliseconds since 1970.
  updated_at bigint NOT NULL,
  opened_at bigint NOT NULL,
  -- Of the operation's last event.
  revision bigint NOT NULL,
  position bigint NOT NULL,
  -- Hashes of theme and of the metadata's top-level scalars; null when there are none.
  facets integer[],
  -- The folded state without data and metadata, as operation/stateJson.ts writes it: enough to fold on from, and to
  -- answer. Text, not jsonb: nothing here looks inside, and text is stored as it comes.
  state text NOT NULL,
  -- Kept apart, so that a report that leaves them alone does not write a large document again.
  data text NOT NULL,
  metadata text NOT NULL,
  CONSTRAINT operations_pkey PRIMARY KEY (id)
) WITH (
  fillfactor = 80,
  -- A busy row is rewritten every second or so: clean up early and without pauses, or the indexes swell.
  autovacuum_vacuum_scale_factor = 0.05,
  autovacuum_vacuum_insert_scale_factor = 0.1,
  autovacuum_analyze_scale_factor = 0.05,
  autovacuum_vacuum_cost_delay = 1
);

CREATE INDEX operations_shape_updated_at_idx ON waybill_read.operations (shape, updated_at);
CREATE INDEX operations_shape_opened_at_idx ON waybill_read.operations (shape, opened_at);
CREATE INDEX operations_facets_idx ON waybill_read.operations USING gin (facets)
  WITH (gin_pending_list_limit = 512) WHERE facets IS NOT NULL;

-- Streams that could not be folded. Their rows stay as they were before `revision`; all other streams go on.
CREATE TABLE waybill_read.parked (
  stream text COLLATE "C" NOT NULL,
  -- The first event that was not folded.
  revision bigint NOT NULL,
  position bigint NOT NULL,
  reason text NOT NULL,
  -- For a person. Holds nothing of the documents.
  detail text NOT NULL,
  CONSTRAINT parked_pkey PRIMARY KEY (stream)
);

CREATE TABLE waybill_read.pipelines (
  name text COLLATE "C" NOT NULL,
  version integer NOT NULL,
  definition json NOT NULL,
  defined_at text NOT NULL,
  CONSTRAINT pipelines_pkey PRIMARY KEY (name, version)
);

-- One batch: rows, counts and checkpoint, in one call and one transaction. Columns come as text with one line a row, an
-- empty line for null: a third of the node's time of arrays (2.3 against 6.3 us a row).
--
-- Tables are named without their schema: the session's search_path says which set of them is meant, so that a rebuild
-- may fold into another set with the same function.
--
-- Raises WB001 when the checkpoint is not where the writer left it or its epoch is over: nothing is written then.
CREATE FUNCTION waybill_read.commit_batch(
  projection text, writer_epoch bigint, from_position bigint, to_position bigint,
  opened_ids text, opened_shapes text, opened_updated text, opened_opened text, opened_revisions text,
  opened_positions text, opened_facets text, opened_states text, opened_data text, opened_metadata text,
  changed_ids text, changed_shapes text, changed_updated text, changed_revisions text, changed_positions text,
  changed_facets text, changed_states text, changed_data text, changed_metadata text,
  shape_changes json, newly_parked json, newly_defined json
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
    INSERT INTO operations (id, shape, updated_at, opened_at, revision, position, facets, state, data, metadata)
    SELECT v.id, v.shape, v.updated_at, v.opened_at, v.revision, v.position, v.facets::integer[], v.state, v.data, v.metadata
    FROM unnest(
      string_to_array(opened_ids, E'\n'),
      string_to_array(opened_shapes, E'\n')::bigint[],
      string_to_array(opened_updated, E'\n')::bigint[],
      string_to_array(opened_opened, E'\n')::bigint[],
      string_to_array(opened_revisions, E'\n')::bigint[],
      string_to_array(opened_positions, E'\n')::bigint[],
      string_to_array(opened_facets, E'\n', ''),
      string_to_array(opened_states, E'\n'),
      string_to_array(opened_data, E'\n'),
      string_to_array(opened_metadata, E'\n')
    ) AS v (id, shape, updated_at, opened_at, revision, position, facets, state, data, metadata);
  END IF;

  IF changed_ids <> '' THEN
    -- Null data or metadata: unchanged. The row then keeps its reference to what is stored out of line. Facets are
    -- those of the metadata: '-' leaves them as they are.
    UPDATE operations o
    SET shape = v.shape, updated_at = v.updated_at, revision = v.revision, position = v.position, state = v.state,
        facets = CASE WHEN v.facets = '-' THEN o.facets ELSE v.facets::integer[] END,
        data = coalesce(v.data, o.data), metadata = coalesce(v.metadata, o.metadata)
    FROM unnest(
      string_to_array(changed_ids, E'\n'),
      string_to_array(changed_shapes, E'\n')::bigint[],
      string_to_array(changed_updated, E'\n')::bigint[],
      string_to_array(changed_revisions, E'\n')::bigint[],
      string_to_array(changed_positions, E'\n')::bigint[],
      string_to_array(changed_facets, E'\n', ''),
      string_to_array(changed_states, E'\n'),
      string_to_array(changed_data, E'\n', ''),
      string_to_array(changed_metadata, E'\n', '')
    ) AS v (id, shape, updated_at, revision, position, facets, state, data, metadata)
    WHERE o.id = v.id;
    GET DIAGNOSTICS written = ROW_COUNT;
    expected := cardinality(string_to_array(changed_ids, E'\n'));
    IF written <> expected THEN
      RAISE EXCEPTION 'projection %: % of % rows to change are there', projection, written, expected USING ERRCODE = 'WB002';
    END IF;
  END IF;

  INSERT INTO shapes AS s (id, pipeline, state, tracks, operations)
  SELECT v.id, v.pipeline, v.state, v.tracks, v.operations
  FROM json_to_recordset(shape_changes) AS v (id bigint, pipeline text, state text, tracks jsonb, operations bigint)
  ON CONFLICT ON CONSTRAINT shapes_pkey DO UPDATE SET operations = s.operations + excluded.operations;

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
END
$$;

DO $$
BEGIN
  -- Without the role (a server where it could not be made) the service runs as the owner of these tables.
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'waybill_service') THEN
    GRANT USAGE ON SCHEMA waybill_read TO waybill_service;
    GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA waybill_read TO waybill_service;
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA waybill_read TO waybill_service;
  END IF;
END
$$;
