-- Made by scripts/dumpSchema.mjs; not to be changed by hand.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'waybill_service') THEN
    CREATE ROLE waybill_service NOLOGIN;
  END IF;
END
$$;

-- access 0001_keys
-- API keys: who may do what. A key itself is never here, only its SHA-256.

CREATE SCHEMA waybill_access;

-- One row. Whoever changes the keys holds it, so changes of all nodes come one after another; nodes ask for the counter
-- to learn that there is something new. 0: there has never been a key.
CREATE TABLE waybill_access.changes (
  only_row boolean NOT NULL DEFAULT true,
  counter bigint NOT NULL,
  CONSTRAINT changes_pkey PRIMARY KEY (only_row),
  CONSTRAINT changes_one_row CHECK (only_row)
);

INSERT INTO waybill_access.changes (counter) VALUES (0);

-- Rows stay when a key is revoked: events name their actors for ever, and somebody may ask who made that key.
CREATE TABLE waybill_access.keys (
  -- The part of the key that finds it; not secret.
  id text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  roles text[] NOT NULL,
  digest bytea NOT NULL,
  created_at timestamptz NOT NULL,
  created_by text NOT NULL,
  revoked_at timestamptz,
  revoked_by text,
  CONSTRAINT keys_pkey PRIMARY KEY (id),
  CONSTRAINT keys_digest_length CHECK (octet_length(digest) = 32),
  CONSTRAINT keys_roles_known CHECK (
    cardinality(roles) > 0 AND roles <@ ARRAY['service', 'viewer', 'auditor', 'operator']
  )
);

-- A name belongs to one key in force. It can be given again afterwards: that is how a key is replaced.
CREATE UNIQUE INDEX keys_name_in_force ON waybill_access.keys (name) WHERE revoked_at IS NULL;

DO $$
BEGIN
  -- Without the role (a server where it could not be made) the service runs as the owner of these tables.
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'waybill_service') THEN
    GRANT USAGE ON SCHEMA waybill_access TO waybill_service;
    GRANT SELECT, UPDATE (counter) ON waybill_access.changes TO waybill_service;
    GRANT SELECT, INSERT, UPDATE (revoked_at, revoked_by) ON waybill_access.keys TO waybill_service;
  END IF;
END
$$;

-- eventlog 0001_log
-- The log: one head row, the streams, the events. Nothing here is ever changed once written, but the head row.
CREATE SCHEMA waybill_log;

-- One row. Its lock orders all appends: positions are given out in commit order (docs/adr/0001-head-row-positions.md).
-- Low fillfactor and no index on what changes: each update stays in its page (HOT) and is pruned there.
CREATE TABLE waybill_log.log_head (
  only_row boolean NOT NULL DEFAULT true,
  -- Changes after a restore, a copy or an accepted loss: positions of another log mean nothing here.
  log_id uuid NOT NULL DEFAULT gen_random_uuid(),
  -- Of the last event; 0 for an empty log.
  position bigint NOT NULL DEFAULT 0,
  -- Number of the last stream.
  stream_number integer NOT NULL DEFAULT 0,
  CONSTRAINT log_head_pkey PRIMARY KEY (only_row),
  CONSTRAINT log_head_only_row CHECK (only_row)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

INSERT INTO waybill_log.log_head DEFAULT VALUES;

-- Streams have integer numbers because callers choose random names: the events' index then grows at fewer places and stays
-- small (measured on 4 million rows: 73,000 against 48,000 events/s). Numbers come from the head row, not from a sequence.
CREATE TABLE waybill_log.streams (
  number integer NOT NULL,
  name text NOT NULL,
  CONSTRAINT streams_pkey PRIMARY KEY (number),
  CONSTRAINT streams_name_key UNIQUE (name)
);

-- data and metadata are json, not jsonb: the text comes back byte for byte, and goes in faster
-- (docs/adr/0002-json-text-for-events.md). No foreign key to streams: only append() writes, and a trigger call for each row
-- would cost more than the insert itself.
CREATE TABLE waybill_log.events (
  position bigint NOT NULL,
  revision bigint NOT NULL,
  stream_number integer NOT NULL,
  id uuid NOT NULL,
  type text NOT NULL,
  data json NOT NULL,
  metadata json NOT NULL,
  CONSTRAINT events_pkey PRIMARY KEY (position),
  CONSTRAINT events_stream_revision_key UNIQUE (stream_number, revision),
  CONSTRAINT events_id_key UNIQUE (id)
);

-- Rights alone do not bind the owner; these do, until someone drops them on purpose.
CREATE FUNCTION waybill_log.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of %.% is forbidden: the log only grows', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER events_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON waybill_log.events
  FOR EACH STATEMENT EXECUTE FUNCTION waybill_log.refuse_change();
CREATE TRIGGER streams_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON waybill_log.streams
  FOR EACH STATEMENT EXECUTE FUNCTION waybill_log.refuse_change();
CREATE TRIGGER log_head_refuse_change BEFORE DELETE OR TRUNCATE ON waybill_log.log_head
  FOR EACH STATEMENT EXECUTE FUNCTION waybill_log.refuse_change();

-- Also where triggers are otherwise off (session_replication_role = replica).
ALTER TABLE waybill_log.events ENABLE ALWAYS TRIGGER events_refuse_change;
ALTER TABLE waybill_log.streams ENABLE ALWAYS TRIGGER streams_refuse_change;
ALTER TABLE waybill_log.log_head ENABLE ALWAYS TRIGGER log_head_refuse_change;

-- pglz, the default, doubles an insert's time on documents of 10 kB (182 against 101 us uncompressed, to a third of the
-- size); lz4 takes a fraction of that, but not every server was built with it.
DO $$
BEGIN
  ALTER TABLE waybill_log.events
    ALTER COLUMN data SET COMPRESSION lz4,
    ALTER COLUMN metadata SET COMPRESSION lz4;
EXCEPTION
  WHEN feature_not_supported OR invalid_parameter_value THEN NULL;
END
$$;

-- eventlog 0002_append
-- Appends the chains of one batch (docs/adr/0003-chains.md): all events of a chain, or none when its stream does not stand
-- where the chain's first link expects it. One call in autocommit is one round trip and one commit, and no client can hold
-- the head's lock by dying in the middle.
--
-- Chains come as parallel arrays in one order: names, joined by U+001E (JSON text and names never hold it); the last
-- revision each expects, -1 for no stream; its number of events, 0 for a mere check; the number of events of the chains
-- before it. Events come in order of their chains: the chain (from 1), the place in it (from 1), id, type, data, metadata. Joined text, because splitting it here costs a
-- third of what building and parsing array literals does.
--
-- head_before: the log's last position before this call; accepted events follow it without a gap, in the order given.
-- conflicts: a line "chain:revision" for each chain not appended, with the revision its stream has; empty when all were.
--
-- Raises WB001 when the log is not the one the caller opened, and unique_violation by constraint name for an event id that
-- is in the log already: then nothing of the call is appended.
CREATE FUNCTION waybill_log.append(
  caller_log_id uuid,
  chain_streams text,
  chain_expected bigint[],
  chain_events integer[],
  chain_bases bigint[],
  event_chains integer[],
  event_places integer[],
  event_ids uuid[],
  event_types text,
  event_data text,
  event_metadata text,
  OUT head_before bigint,
  OUT conflicts text
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, waybill_log, pg_temp
-- Every statement below is a walk along an index, whatever the statistics of a young table say: a plan made for an empty
-- log must not outlive it.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET work_mem = '64MB'
AS $$
DECLARE
  separator CONSTANT text := chr(30);
  names CONSTANT text[] := string_to_array(chain_streams, separator);
  log uuid;
  last_stream integer;
  numbers integer[];
  revisions bigint[];
  bases bigint[] := chain_bases;
  event_count bigint := cardinality(event_ids);
  new_streams integer := 0;
BEGIN
  -- In any higher isolation the statements below would see the log as it was before the wait for the lock.
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'append() needs READ COMMITTED' USING ERRCODE = 'invalid_transaction_state';
  END IF;
  conflicts := '';
  IF names = '{}' THEN
    SELECT position INTO head_before FROM log_head;
    RETURN;
  END IF;

  -- A statement of its own: those after it take their snapshots with the lock held, so they see all that was appended.
  SELECT h.log_id, h.position, h.stream_number INTO log, head_before, last_stream FROM log_head h FOR NO KEY UPDATE;
  IF log IS DISTINCT FROM caller_log_id THEN
    RAISE EXCEPTION 'this is log %, not %', log, caller_log_id USING ERRCODE = 'WB001';
  END IF;

  -- Where each chain's stream stands: its number, 0 for no stream, and its last revision, -1 for none.
  SELECT array_agg(coalesce(s.number, 0) ORDER BY c.ord), array_agg(coalesce(l.revision, -1) ORDER BY c.ord)
  INTO numbers, revisions
  FROM unnest(names) WITH ORDINALITY AS c (name, ord)
  LEFT JOIN streams s ON s.name = c.name
  LEFT JOIN LATERAL (
    SELECT e.revision FROM events e WHERE e.stream_number = s.number ORDER BY e.revision DESC LIMIT 1
  ) l ON true;

  -- Most batches go on with streams that are there and stand where they should: nothing more is to be found out. (The
  -- statement below costs 50 us more, which batches of a few events notice.)
  IF revisions <> chain_expected OR 0 = ANY (numbers) THEN
    -- A chain that conflicts gets number 0 and takes no part; one that opens its stream gets the next free number; one that
    -- only checks that there is no stream keeps -1. Events of the chains that take part follow each other without a gap.
    WITH judged AS (
      SELECT c.ord, c.number, c.revision, c.events, c.revision = c.expected AS accepted,
        CASE WHEN c.revision = c.expected THEN c.events ELSE 0 END AS taken,
        c.revision = c.expected AND c.number = 0 AND c.events > 0 AS opens
      FROM unnest(numbers, revisions, chain_expected, chain_events) WITH ORDINALITY AS c (number, revision, expected, events, ord)
    ), counted AS (
      SELECT *, sum(taken) OVER up_to AS taken_up_to, count(*) FILTER (WHERE opens) OVER up_to AS opened_up_to
      FROM judged
      WINDOW up_to AS (ORDER BY ord)
    )
    SELECT
      array_agg(CASE
        WHEN NOT accepted THEN 0
        WHEN opens THEN last_stream + opened_up_to
        WHEN number = 0 THEN -1
        ELSE number
      END ORDER BY ord),
      array_agg(taken_up_to - taken ORDER BY ord),
      max(taken_up_to),
      max(opened_up_to),
      coalesce(string_agg(ord || ':' || revision, E'\n' ORDER BY ord) FILTER (WHERE NOT accepted), '')
    INTO numbers, bases, event_count, new_streams, conflicts
    FROM counted;
  END IF;

  IF event_count = 0 THEN
    RETURN;
  END IF;

  IF new_streams > 0 THEN
    INSERT INTO streams (number, name)
    SELECT c.number, c.name FROM unnest(numbers, names) AS c (number, name) WHERE c.number > last_stream;
  END IF;

  INSERT INTO events (position, revision, stream_number, id, type, data, metadata)
  SELECT head_before + bases[e.chain] + e.place, chain_expected[e.chain] + e.place, numbers[e.chain],
    e.id, e.type, e.data::json, e.metadata::json
  FROM unnest(
    event_chains,
    event_places,
    event_ids,
    string_to_array(event_types, separator),
    string_to_array(event_data, separator),
    string_to_array(event_metadata, separator)
  ) AS e (chain, place, id, type, data, metadata)
  WHERE numbers[e.chain] > 0;

  UPDATE log_head SET position = head_before + event_count, stream_number = last_stream + new_streams;
END
$$;

REVOKE ALL ON FUNCTION waybill_log.append FROM PUBLIC;

-- eventlog 0003_service_role
-- What the service's sessions may do: read the log, and append to it through append(), which runs with its owner's rights.
-- The role is made by the migrator where it may; where it may not, the service runs as the database user itself.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'waybill_service') THEN
    GRANT USAGE ON SCHEMA waybill_log TO waybill_service;
    GRANT SELECT ON waybill_log.log_head, waybill_log.streams, waybill_log.events TO waybill_service;
    GRANT EXECUTE ON FUNCTION waybill_log.append TO waybill_service;
  END IF;
END
$$;

-- projections 0001_read_model
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

CREATE SCHEMA IF NOT EXISTS waybill;
CREATE TABLE waybill.migrations (
  room text NOT NULL,
  number integer NOT NULL,
  name text NOT NULL,
  checksum text NOT NULL,
  service_role boolean NOT NULL,
  applied_at timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT migrations_pkey PRIMARY KEY (room, number)
);
INSERT INTO waybill.migrations (room, number, name, checksum, service_role, applied_at) OVERRIDING SYSTEM VALUE VALUES
('access', '1', '0001_keys', '19462118aef548b068a2275cefc9a04333c3624e6c485e6794b13f3df3daa6ee', 'true', '2026-11-20 14:34:41.507292+00'),
('eventlog', '1', '0001_log', '2b1b55228ef61dd11c830b55e2a8af8365599a512e253f8cb4885db79853d6fa', 'true', '2026-11-20 14:34:41.282333+00'),
('eventlog', '2', '0002_append', '4b2e2ed20dca7ccb3860e07c44b2d33dbc42fb1ebcd73df6b663e6c6b2f87d91', 'true', '2026-11-20 14:34:41.332983+00'),
('eventlog', '3', '0003_service_role', '7f10650635acc5b68be8c9abd45361ec3b1f48a9815d96e7ac2505465fc30b5c', 'true', '2026-11-20 14:34:41.343392+00'),
('projections', '1', '0001_read_model', '3edde007420c9cbb3d02e7aa0d1415b3341fb37d00020987f9a041d92c1abbb4', 'true', '2026-11-20 14:34:41.418275+00')
ON CONFLICT (room, number) DO UPDATE SET name = excluded.name, checksum = excluded.checksum, service_role = excluded.service_role, applied_at = excluded.applied_at;

INSERT INTO waybill_access.changes (only_row, counter) OVERRIDING SYSTEM VALUE VALUES
('true', '0')
ON CONFLICT (only_row) DO UPDATE SET counter = excluded.counter;

INSERT INTO waybill_log.events ("position", revision, stream_number, id, type, data, metadata) OVERRIDING SYSTEM VALUE VALUES
('1', '0', '1', 'a76f6cbb-109d-8f66-a343-c51517649cac', 'PipelineDefined', '{"version":1,"definition":{"outOfOrder":"advance","lateData":"fill","recordIgnored":true,"tracks":{"main":{"initial":"new","transitions":{"new":["read"],"read":["checked"],"checked":["done"]},"final":{"done":"succeeded"}}}}}', '{"command":"c426b759-d963-4978-98bb-efce5fe05be8","requestHash":"ou3qrQgSEsDQZndi1gn2PO5X8ZYeaaoNCd3kz-QhFUY","actor":"anonymous","$correlationId":"linear","$causationId":"c426b759-d963-4978-98bb-efce5fe05be8","schemaVersion":1,"recordedAt":"2026-11-20T14:34:42.412Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"8438b2da398afefce6f3dbca4e17b079f9a27cd00d05b1bb52fcaf5492556c00"}'),
('2', '0', '2', 'c5a969b3-6f7f-8ea1-bf4c-497ecbf867f6', 'PipelineDefined', '{"version":1,"definition":{"outOfOrder":"hold","lateData":"fill","recordIgnored":true,"tracks":{"main":{"initial":"new","transitions":{"new":["read"],"read":["checked"],"checked":["done"]},"final":{"done":"succeeded"}}}}}', '{"command":"8ece6764-d3dd-4791-82dd-ddb569f70cc1","requestHash":"uyKeZyHU0ZGmxVo7YoBwMxiZrGI1UebnWMspqhK_c-A","actor":"anonymous","$correlationId":"patient","$causationId":"8ece6764-d3dd-4791-82dd-ddb569f70cc1","schemaVersion":1,"recordedAt":"2026-11-20T14:34:42.573Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"0caf72c72fc0f7eda3f8495c8689a26bde1f4c1c07e2a7cb5c793c2e199ead72"}'),
('3', '0', '3', '5ee0e8e5-0cc3-8ed6-8d77-e0b073acda0e', 'PipelineDefined', '{"version":1,"definition":{"outOfOrder":"hold","lateData":"fill","recordIgnored":true,"tracks":{"main":{"initial":"new","transitions":{"new":["read"],"read":["checked","broken"],"checked":["done"]},"final":{"done":"succeeded","broken":"failed"},"requires":{"done":[{"track":"fraud","in":["passed"]}]}},"fraud":{"initial":"waiting","transitions":{"waiting":["passed","failed"]},"final":{"passed":"succeeded","failed":"failed"},"startsWhen":{"track":"main","in":["read"]}}}}}', '{"command":"68e5cf3f-86b5-4ab4-a008-aeb51ac72ca0","requestHash":"s2TbUcSAhlw1-SPzcPSz5fhjEzsYigdcIYHIKQp1iWc","actor":"anonymous","$correlationId":"parallel","$causationId":"68e5cf3f-86b5-4ab4-a008-aeb51ac72ca0","schemaVersion":1,"recordedAt":"2026-11-20T14:34:42.649Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"0c8a8f8359ff1c615dda116e15dac6e692cf49a7970071cf4d859bd620cda3e9"}'),
('4', '1', '1', 'a76f6cbb-ac2a-83fb-b22a-92388f265d92', 'PipelineDefined', '{"version":2,"definition":{"outOfOrder":"reject","lateData":"fill","recordIgnored":true,"tracks":{"main":{"initial":"new","transitions":{"new":["read"],"read":["checked"],"checked":["done"]},"final":{"done":"succeeded"}}}}}', '{"command":"e770748f-06a6-4e93-a7e7-8c247030e9aa","requestHash":"GzhxK4JoL5fNUcXlIXlywJDAfmIGEWymQWkJI10za9U","actor":"anonymous","$correlationId":"linear","$causationId":"e770748f-06a6-4e93-a7e7-8c247030e9aa","schemaVersion":1,"recordedAt":"2026-11-20T14:34:42.806Z","previousHash":"8438b2da398afefce6f3dbca4e17b079f9a27cd00d05b1bb52fcaf5492556c00","hash":"191f48dde47b368641be0201dc6ec46fd1f3831af762623a60ec16aed3beec55"}'),
('5', '0', '4', '11b76f8e-fe27-838a-a647-568fb2cd7135', 'OperationOpened', '{"pipeline":{"name":"linear","version":1},"theme":"a theme","data":{"a":1},"metadata":{}}', '{"command":"8d72a613-5a0b-4ca5-ab13-368f14f0697d","requestHash":"aXf_2wCirqMq2cMCGsNjXF1aONM3_C9yFTfrximEekQ","actor":"anonymous","$correlationId":"opened-1","$causationId":"8d72a613-5a0b-4ca5-ab13-368f14f0697d","schemaVersion":1,"recordedAt":"2026-11-20T14:34:42.898Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"e678e4eea06003f0a15ba8e94d1d606c1ffe5090fbc7a626d4ba1f3c1af4fe99"}'),
('6', '0', '5', 'e688ef77-0690-845a-9f5a-dc189d4d593f', 'OperationOpened', '{"pipeline":{"name":"any","version":1},"theme":null,"data":{},"metadata":{}}', '{"command":"key-0","requestHash":"pEKWXS2_EhkQ2cxsMda2mGuC8o7gWC2NFET3fKpPHes","actor":"anonymous","$correlationId":"any-1","$causationId":"key-0","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.021Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"8623da79ae236ae87b85e44fa089902f4a009dadb3e5d7ab6d79e528a3e5b96f"}'),
('7', '1', '5', 'e688ef77-3ade-8d55-b176-beeb8d50ede0', 'StatusChanged', E'{"track":"main","from":null,"to":"anything at all","service":"sample","data":{"text":"ä 🧾 \\"quoted\\""},"metadata":{"customer":"ACME","amount":12.5}}', '{"command":"key-0","requestHash":"pEKWXS2_EhkQ2cxsMda2mGuC8o7gWC2NFET3fKpPHes","actor":"anonymous","$correlationId":"any-1","$causationId":"key-0","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.021Z","previousHash":"8623da79ae236ae87b85e44fa089902f4a009dadb3e5d7ab6d79e528a3e5b96f","hash":"60ecdd69fc778fbed4ca1e7ca8782d1f4b03458eaf47ba61a72cde7efe440bb1"}'),
('8', '2', '5', 'e688ef77-0f21-8a6a-a05f-618b4f8fa8a7', 'StatusChanged', '{"track":"main","from":"anything at all","to":"gone","service":"sample","final":"failed"}', '{"command":"key-1","requestHash":"NA0iVfegdxXiKDS1rGtqNBUYahgezQB0ldd8aM-lFRM","actor":"anonymous","$correlationId":"any-1","$causationId":"key-1","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.112Z","previousHash":"60ecdd69fc778fbed4ca1e7ca8782d1f4b03458eaf47ba61a72cde7efe440bb1","hash":"82346b5063c60d0332ce1ebbde5ffcbddc60d08ab26e0a11eba9f45c51bdc17f"}'),
('9', '0', '6', 'a241172e-3e6c-82f2-a45c-b42716c2fc8f', 'OperationOpened', '{"pipeline":{"name":"linear","version":1},"theme":null,"data":{},"metadata":{}}', '{"command":"key-2","requestHash":"m3f_GzUhPNF1QQ_G4VdZMV3G-52rqQYMyf6mfIhDVDE","actor":"anonymous","$correlationId":"linear-1","$causationId":"key-2","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.188Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"16936133452ef90fbde3a6cf3064335e988b6ec7eeedf273465d4132eaf272fc"}'),
('10', '1', '6', 'a241172e-fbe1-860d-9f61-b04bff9322e2', 'StatusChanged', '{"track":"main","from":"new","to":"read","service":"sample","sequence":1,"data":{"pages":[1,2,3]}}', '{"command":"key-2","requestHash":"m3f_GzUhPNF1QQ_G4VdZMV3G-52rqQYMyf6mfIhDVDE","actor":"anonymous","$correlationId":"linear-1","$causationId":"key-2","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.188Z","previousHash":"16936133452ef90fbde3a6cf3064335e988b6ec7eeedf273465d4132eaf272fc","hash":"1bfafb6aeb7a9739691893acba07f0b3fb9ce8ca18a9bc1aa0d4538619617e63"}'),
('11', '2', '6', 'a241172e-0bdc-86bf-9a28-d61c55d7f093', 'StatusChanged', '{"track":"main","from":"read","to":"done","service":"sample","sequence":4}', '{"command":"key-3","requestHash":"0PARil1neOYjAS62DHIcNZr3ki3Bxdw4BaUfH_MiPIM","actor":"anonymous","$correlationId":"linear-1","$causationId":"key-3","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.265Z","previousHash":"1bfafb6aeb7a9739691893acba07f0b3fb9ce8ca18a9bc1aa0d4538619617e63","hash":"89071e713c7afe33ecd3e42d732df43218855a05ab423ec89559a71fdb76e82f"}'),
('12', '3', '6', 'a241172e-5bb1-8912-89ac-467567c2d698', 'ReportIgnored', '{"track":"main","status":"checked","service":"sample","reason":"older_sequence","sequence":3,"data":{"late":true}}', '{"command":"key-4","requestHash":"Ak5mQk1E8e2R69MCteh4qFroaxZfUVXcjTXcGJetsn0","actor":"anonymous","$correlationId":"linear-1","$causationId":"key-4","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.333Z","previousHash":"89071e713c7afe33ecd3e42d732df43218855a05ab423ec89559a71fdb76e82f","hash":"60acbca752533e177eb8b4df57736ae61cf4e9b5f3e6efcac7f0a42642f26bf5"}'),
('13', '0', '7', 'a141159b-67e3-802d-8606-d96344049732', 'OperationOpened', '{"pipeline":{"name":"linear","version":1},"theme":null,"data":{},"metadata":{}}', '{"command":"key-5","requestHash":"ng0scSzRth-p2cvgdRZvfvxuGfaasYQX3rPJt19QspE","actor":"anonymous","$correlationId":"linear-2","$causationId":"key-5","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.424Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"1a1c9ae4d1aafa9e0b0b21a146de683d32d63a57960ee2d7312faed31145edb9"}'),
('14', '1', '7', 'a141159b-c10f-8ec6-9f1a-fb5645840c0a', 'StatusChanged', '{"track":"main","from":"new","to":"read","service":"sample","observedAt":"2026-01-01T00:00:00.000Z"}', '{"command":"key-5","requestHash":"ng0scSzRth-p2cvgdRZvfvxuGfaasYQX3rPJt19QspE","actor":"anonymous","$correlationId":"linear-2","$causationId":"key-5","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.424Z","previousHash":"1a1c9ae4d1aafa9e0b0b21a146de683d32d63a57960ee2d7312faed31145edb9","hash":"4f56249c2180c22d5d4c78be639fd609940943ad114011337300e61603310940"}'),
('15', '2', '7', 'a141159b-dcb0-822c-bbc6-186c806f1d3e', 'DataMerged', '{"track":"main","status":"read","service":"sample","metadata":{"again":true}}', '{"command":"key-6","requestHash":"WUO9BdY_U9ukjsY1dIVf49Rl4n4z0gpIqlpc7BCOgsU","actor":"anonymous","$correlationId":"linear-2","$causationId":"key-6","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.491Z","previousHash":"4f56249c2180c22d5d4c78be639fd609940943ad114011337300e61603310940","hash":"b30aa97e02d6e724fd9055210cf1fa66537cea6888696a43501ffd9bcf462939"}'),
('16', '0', '8', 'd3c9da74-eb34-8f14-81bf-99bfc2f53bb0', 'OperationOpened', '{"pipeline":{"name":"patient","version":1},"theme":null,"data":{},"metadata":{}}', '{"command":"key-7","requestHash":"NXTtLzs4zSWOb2Hb--e3REwoh3UcrxsDj8hjBalDmn0","actor":"anonymous","$correlationId":"patient-1","$causationId":"key-7","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.545Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"068cab15f4dc813c3e0fc811a768ab405be2d6d15848d17326a130e657f318cd"}'),
('17', '1', '8', 'd3c9da74-f205-886a-92e9-2f07f3ecd342', 'ReportHeld', '{"track":"main","status":"checked","service":"sample","reason":"predecessor_missing","data":{"early":1}}', '{"command":"key-7","requestHash":"NXTtLzs4zSWOb2Hb--e3REwoh3UcrxsDj8hjBalDmn0","actor":"anonymous","$correlationId":"patient-1","$causationId":"key-7","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.545Z","previousHash":"068cab15f4dc813c3e0fc811a768ab405be2d6d15848d17326a130e657f318cd","hash":"5164e2fb54bea6d65c458f462f16b1cf4cbf3043c335bfaea7f8cf18399844a8"}'),
('18', '0', '9', 'd6c9df2d-39ab-8585-834a-2e503a1b1e99', 'OperationOpened', '{"pipeline":{"name":"patient","version":1},"theme":null,"data":{},"metadata":{}}', '{"command":"key-8","requestHash":"_23wzAEFWZJPS_eKBClqWKe7TEONTiezwz32ggkhX6Y","actor":"anonymous","$correlationId":"patient-2","$causationId":"key-8","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.612Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"4db5b7106a924c612132490a67d4d43f2c35c3e3ca098a8aabb7eba5dad996be"}'),
('19', '1', '9', 'd6c9df2d-14b3-86b1-9eef-1d7ceca10574', 'ReportHeld', '{"track":"main","status":"checked","service":"sample","reason":"predecessor_missing"}', '{"command":"key-8","requestHash":"_23wzAEFWZJPS_eKBClqWKe7TEONTiezwz32ggkhX6Y","actor":"anonymous","$correlationId":"patient-2","$causationId":"key-8","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.612Z","previousHash":"4db5b7106a924c612132490a67d4d43f2c35c3e3ca098a8aabb7eba5dad996be","hash":"cdf2fc31f2f9869832322aafcb7220cea72761dcee7aa09d5d63953899c06c38"}'),
('20', '2', '9', 'd6c9df2d-2058-8332-a375-6b8b0e6aafb5', 'StatusChanged', '{"track":"main","from":"new","to":"read","service":"sample"}', '{"command":"key-9","requestHash":"CdYcwFGRZWDPIUDhZWpLRvqcRsfVMEoEmXbNZl1HJhc","actor":"anonymous","$correlationId":"patient-2","$causationId":"key-9","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.670Z","previousHash":"cdf2fc31f2f9869832322aafcb7220cea72761dcee7aa09d5d63953899c06c38","hash":"bb5401cf350630c686b61b44d7109407ee49439f8fc908d537b291264dc4d715"}'),
('21', '3', '9', 'd6c9df2d-8dc2-86c8-a6bf-9b3a981098b0', 'StatusChanged', '{"track":"main","from":"read","to":"checked","service":"sample"}', '{"command":"key-8","requestHash":"_23wzAEFWZJPS_eKBClqWKe7TEONTiezwz32ggkhX6Y","actor":"anonymous","$correlationId":"patient-2","$causationId":"key-9","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.670Z","previousHash":"bb5401cf350630c686b61b44d7109407ee49439f8fc908d537b291264dc4d715","hash":"2045bcfbc4d6ab2e2dd4b9499accd100eec49325b83173afeb414d98ec492401"}'),
('22', '0', '10', 'fa023ff8-7fec-8d64-a47e-15fc5ef31901', 'OperationOpened', '{"pipeline":{"name":"parallel","version":1},"theme":null,"data":{},"metadata":{}}', '{"command":"key-10","requestHash":"xx30lIGRT-q_ToHEfNuy6TaN0e3Lg1gUFUuPC8zGlTw","actor":"anonymous","$correlationId":"parallel-1","$causationId":"key-10","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.724Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"689806b09ba90b6ce60a52f4c95ca97f2e782e498f5ff18fd05dcd988311a413"}'),
('23', '1', '10', 'fa023ff8-89ec-8027-9957-c42bdf9a7a69', 'StatusChanged', '{"track":"main","from":"new","to":"read","service":"sample"}', '{"command":"key-10","requestHash":"xx30lIGRT-q_ToHEfNuy6TaN0e3Lg1gUFUuPC8zGlTw","actor":"anonymous","$correlationId":"parallel-1","$causationId":"key-10","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.724Z","previousHash":"689806b09ba90b6ce60a52f4c95ca97f2e782e498f5ff18fd05dcd988311a413","hash":"cabd4c417f9c08d7a7b43edaab17f2ad1978dff95522518fdc291565e345b3cb"}'),
('24', '2', '10', 'fa023ff8-4f5a-845e-ae7b-1f3479da488b', 'StatusChanged', '{"track":"main","from":"read","to":"checked","service":"sample"}', '{"command":"key-11","requestHash":"zFG7YixZiprblSS43DmAWaTpWoX9E7lRyvH5z75ZotE","actor":"anonymous","$correlationId":"parallel-1","$causationId":"key-11","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.763Z","previousHash":"cabd4c417f9c08d7a7b43edaab17f2ad1978dff95522518fdc291565e345b3cb","hash":"672561bbbbf111e08170be72e4de646f4e601db4781a43c6ae24743513eb73cb"}'),
('25', '3', '10', 'fa023ff8-8339-8881-a191-e7ba9572a416', 'ReportHeld', '{"track":"main","status":"done","service":"sample","reason":"requirement_unmet"}', '{"command":"key-12","requestHash":"Tvzz8hYonbZfeB7BHB-2Z_BvyrIs-AH9hwfUxc_Yv7A","actor":"anonymous","$correlationId":"parallel-1","$causationId":"key-12","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.774Z","previousHash":"672561bbbbf111e08170be72e4de646f4e601db4781a43c6ae24743513eb73cb","hash":"b3e313725860020a51bed1f8028e2d9e907c86344d7f04af50ecf1b086339f91"}'),
('26', '4', '10', 'fa023ff8-6e99-87e6-868c-b7fe91327f35', 'StatusChanged', '{"track":"fraud","from":"waiting","to":"passed","service":"sample"}', '{"command":"key-13","requestHash":"2a6apxbNnPRaLUEp0K1heHpwsq7KxY41ggRq0nyw1xA","actor":"anonymous","$correlationId":"parallel-1","$causationId":"key-13","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.864Z","previousHash":"b3e313725860020a51bed1f8028e2d9e907c86344d7f04af50ecf1b086339f91","hash":"2fbf8d53f7eb59734a26a7838b78b6b2265e9999cb3ca53de17959d7ab1e55dd"}'),
('27', '5', '10', 'fa023ff8-73df-8d35-a36d-e27bd46089d7', 'StatusChanged', '{"track":"main","from":"checked","to":"done","service":"sample"}', '{"command":"key-12","requestHash":"Tvzz8hYonbZfeB7BHB-2Z_BvyrIs-AH9hwfUxc_Yv7A","actor":"anonymous","$correlationId":"parallel-1","$causationId":"key-13","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.864Z","previousHash":"2fbf8d53f7eb59734a26a7838b78b6b2265e9999cb3ca53de17959d7ab1e55dd","hash":"d863d29e918e021b3bb301ba89bdd52569aa5f8c2ca270d7b1068f1c4a79f73e"}'),
('28', '0', '11', 'fd0244b1-c661-8f18-9aa7-a64113545c68', 'OperationOpened', '{"pipeline":{"name":"parallel","version":1},"theme":null,"data":{},"metadata":{}}', '{"command":"key-14","requestHash":"rakypcVGzaVCAil83i0us4DHmR6W1rh8VCVNrt8MkQU","actor":"anonymous","$correlationId":"parallel-2","$causationId":"key-14","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.953Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"ab98941b89db75d2f06d0faa899ab282a10db87c3f2c4b38aa97707606acb8b1"}'),
('29', '1', '11', 'fd0244b1-ba83-83be-aadf-633aecfad92f', 'StatusChanged', '{"track":"main","from":"new","to":"read","service":"sample"}', '{"command":"key-14","requestHash":"rakypcVGzaVCAil83i0us4DHmR6W1rh8VCVNrt8MkQU","actor":"anonymous","$correlationId":"parallel-2","$causationId":"key-14","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.953Z","previousHash":"ab98941b89db75d2f06d0faa899ab282a10db87c3f2c4b38aa97707606acb8b1","hash":"531a7fa5bf3b9055d4f144d110e80a3d90d789192fa2672a3a37fe853c3391c7"}'),
('30', '2', '11', 'fd0244b1-d5dd-8600-b9c6-d87188b3c19c', 'StatusChanged', '{"track":"main","from":"read","to":"broken","service":"sample"}', '{"command":"key-15","requestHash":"pXG9B3dEsXep3VFSXyVSSyfyfEmvT1kYFeYGZj2b20U","actor":"anonymous","$correlationId":"parallel-2","$causationId":"key-15","schemaVersion":1,"recordedAt":"2026-11-20T14:34:43.970Z","previousHash":"531a7fa5bf3b9055d4f144d110e80a3d90d789192fa2672a3a37fe853c3391c7","hash":"61458cc8ac504ee0f479e805092283d30d90561629c6c11060603198e1b11bae"}'),
('31', '0', '12', 'fc02431e-3fd3-8a94-803b-bb8c28c764f5', 'OperationOpened', '{"pipeline":{"name":"parallel","version":1},"theme":null,"data":{},"metadata":{}}', '{"command":"key-16","requestHash":"u8vu-x8vAHzoO00ceFbz6genPfflXxKPMtj6QSbNt64","actor":"anonymous","$correlationId":"parallel-3","$causationId":"key-16","schemaVersion":1,"recordedAt":"2026-11-20T14:34:44.016Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"e1f1e471bdf2f30f32ea6d8f857e093b4cb1c310188ed532172ff138ee9762d3"}'),
('32', '1', '12', 'fc02431e-286d-8a4b-ae6b-2236da68b29d', 'ReportHeld', '{"track":"main","status":"done","service":"sample","reason":"predecessor_missing"}', '{"command":"key-16","requestHash":"u8vu-x8vAHzoO00ceFbz6genPfflXxKPMtj6QSbNt64","actor":"anonymous","$correlationId":"parallel-3","$causationId":"key-16","schemaVersion":1,"recordedAt":"2026-11-20T14:34:44.016Z","previousHash":"e1f1e471bdf2f30f32ea6d8f857e093b4cb1c310188ed532172ff138ee9762d3","hash":"718c745bdb30412bdd255f46ec443b9d8b51902ee11933b36146d525ff4fd751"}');

INSERT INTO waybill_log.log_head (only_row, log_id, "position", stream_number) OVERRIDING SYSTEM VALUE VALUES
('true', 'a316a000-ebd9-4419-bc90-6b7ba25684ec', '32', '12')
ON CONFLICT (only_row) DO UPDATE SET log_id = excluded.log_id, "position" = excluded."position", stream_number = excluded.stream_number;

INSERT INTO waybill_log.streams (number, name) OVERRIDING SYSTEM VALUE VALUES
('1', 'pipeline-linear'),
('2', 'pipeline-patient'),
('3', 'pipeline-parallel'),
('4', 'operation-opened-1'),
('5', 'operation-any-1'),
('6', 'operation-linear-1'),
('7', 'operation-linear-2'),
('8', 'operation-patient-1'),
('9', 'operation-patient-2'),
('10', 'operation-parallel-1'),
('11', 'operation-parallel-2'),
('12', 'operation-parallel-3');

INSERT INTO waybill_read.checkpoints (name, "position", epoch, log_id, fold_version) OVERRIDING SYSTEM VALUE VALUES
('operations', '32', '1', 'a316a000-ebd9-4419-bc90-6b7ba25684ec', '1')
ON CONFLICT (name) DO UPDATE SET "position" = excluded."position", epoch = excluded.epoch, log_id = excluded.log_id, fold_version = excluded.fold_version;

INSERT INTO waybill_read.operations (id, shape, updated_at, opened_at, revision, "position", facets, state, data, metadata) OVERRIDING SYSTEM VALUE VALUES
('any-1', '-7481669893650086265', '1795185283112', '1795185283021', '2', '8', '{524610466,-1808970042}', '{"stateVersion":1,"pipeline":{"name":"any","version":1},"revision":"2","id":"any-1","theme":null,"state":"failed","tracks":{"main":{"phase":"final","status":"gone","since":"2026-11-20T14:34:43.112Z","by":"sample","reached":[],"sequences":{},"outcome":"failed"}},"held":[],"data":{},"metadata":{},"dataBytesMax":228,"metadataBytesMax":228,"lastHash":"82346b5063c60d0332ce1ebbde5ffcbddc60d08ab26e0a11eba9f45c51bdc17f","openedAt":"2026-11-20T14:34:43.021Z","updatedAt":"2026-11-20T14:34:43.112Z","openedBy":"key-0"}', E'{"text":"ä 🧾 \\"quoted\\""}', '{"customer":"ACME","amount":12.5}'),
('linear-1', '3966045760577408542', '1795185283333', '1795185283188', '3', '12', NULL, '{"stateVersion":1,"pipeline":{"name":"linear","version":1},"revision":"3","id":"linear-1","theme":null,"state":"succeeded","tracks":{"main":{"phase":"final","status":"done","since":"2026-11-20T14:34:43.265Z","by":"sample","reached":["new","read","checked","done"],"sequences":{"sample":4},"outcome":"succeeded"}},"held":[],"data":{},"metadata":{},"dataBytesMax":291,"metadataBytesMax":79,"lastHash":"60acbca752533e177eb8b4df57736ae61cf4e9b5f3e6efcac7f0a42642f26bf5","openedAt":"2026-11-20T14:34:43.188Z","updatedAt":"2026-11-20T14:34:43.333Z","openedBy":"key-2"}', '{"pages":[1,2,3],"late":true}', '{}'),
('linear-2', '8280502315069662464', '1795185283491', '1795185283424', '2', '15', '{1283915212}', '{"stateVersion":1,"pipeline":{"name":"linear","version":1},"revision":"2","id":"linear-2","theme":null,"state":"active","tracks":{"main":{"phase":"active","status":"read","since":"2026-11-20T14:34:43.424Z","by":"sample","reached":["new","read"],"sequences":{},"outcome":null}},"held":[],"data":{},"metadata":{},"dataBytesMax":79,"metadataBytesMax":156,"lastHash":"b30aa97e02d6e724fd9055210cf1fa66537cea6888696a43501ffd9bcf462939","openedAt":"2026-11-20T14:34:43.424Z","updatedAt":"2026-11-20T14:34:43.491Z","openedBy":"key-5"}', '{}', '{"again":true}'),
('opened-1', '-7198852134200344642', '1795185282898', '1795185282898', '0', '5', '{1566088667}', '{"stateVersion":1,"pipeline":{"name":"linear","version":1},"revision":"0","id":"opened-1","theme":"a theme","state":"active","tracks":{"main":{"phase":"active","status":"new","since":"2026-11-20T14:34:42.898Z","by":null,"reached":["new"],"sequences":{},"outcome":null}},"held":[],"data":{},"metadata":{},"dataBytesMax":89,"metadataBytesMax":89,"lastHash":"e678e4eea06003f0a15ba8e94d1d606c1ffe5090fbc7a626d4ba1f3c1af4fe99","openedAt":"2026-11-20T14:34:42.898Z","updatedAt":"2026-11-20T14:34:42.898Z","openedBy":"8d72a613-5a0b-4ca5-ab13-368f14f0697d"}', '{"a":1}', '{}'),
('parallel-1', '-5746965633267173338', '1795185283864', '1795185283724', '5', '27', NULL, '{"stateVersion":1,"pipeline":{"name":"parallel","version":1},"revision":"5","id":"parallel-1","theme":null,"state":"succeeded","tracks":{"main":{"phase":"final","status":"done","since":"2026-11-20T14:34:43.864Z","by":"sample","reached":["new","read","checked","done"],"sequences":{},"outcome":"succeeded"},"fraud":{"phase":"final","status":"passed","since":"2026-11-20T14:34:43.864Z","by":"sample","reached":["waiting","passed"],"sequences":{},"outcome":"succeeded"}},"held":[],"data":{},"metadata":{},"dataBytesMax":81,"metadataBytesMax":81,"lastHash":"d863d29e918e021b3bb301ba89bdd52569aa5f8c2ca270d7b1068f1c4a79f73e","openedAt":"2026-11-20T14:34:43.724Z","updatedAt":"2026-11-20T14:34:43.864Z","openedBy":"key-10"}', '{}', '{}'),
('parallel-2', '-2558417261342585135', '1795185283970', '1795185283953', '2', '30', NULL, '{"stateVersion":1,"pipeline":{"name":"parallel","version":1},"revision":"2","id":"parallel-2","theme":null,"state":"active","tracks":{"main":{"phase":"final","status":"broken","since":"2026-11-20T14:34:43.970Z","by":"sample","reached":["new","read","broken"],"sequences":{},"outcome":"failed"},"fraud":{"phase":"active","status":"waiting","since":"2026-11-20T14:34:43.953Z","by":null,"reached":["waiting"],"sequences":{},"outcome":null}},"held":[],"data":{},"metadata":{},"dataBytesMax":81,"metadataBytesMax":81,"lastHash":"61458cc8ac504ee0f479e805092283d30d90561629c6c11060603198e1b11bae","openedAt":"2026-11-20T14:34:43.953Z","updatedAt":"2026-11-20T14:34:43.970Z","openedBy":"key-14"}', '{}', '{}'),
('parallel-3', '6090348597902053250', '1795185284016', '1795185284016', '1', '32', NULL, '{"stateVersion":1,"pipeline":{"name":"parallel","version":1},"revision":"1","id":"parallel-3","theme":null,"state":"active","tracks":{"main":{"phase":"active","status":"new","since":"2026-11-20T14:34:44.016Z","by":null,"reached":["new"],"sequences":{},"outcome":null},"fraud":{"phase":"waiting","status":null,"since":null,"by":null,"reached":[],"sequences":{},"outcome":null}},"held":[{"key":"key-16","requestHash":"u8vu-x8vAHzoO00ceFbz6genPfflXxKPMtj6QSbNt64","actor":"anonymous","keyEvents":2,"bytes":82,"status":"done","reason":"predecessor_missing","heldAt":"2026-11-20T14:34:44.016Z","facts":{"track":"main","service":"sample"}}],"data":{},"metadata":{},"dataBytesMax":81,"metadataBytesMax":81,"lastHash":"718c745bdb30412bdd255f46ec443b9d8b51902ee11933b36146d525ff4fd751","openedAt":"2026-11-20T14:34:44.016Z","updatedAt":"2026-11-20T14:34:44.016Z","openedBy":"key-16"}', '{}', '{}'),
('patient-1', '-6265526766670052299', '1795185283545', '1795185283545', '1', '17', NULL, '{"stateVersion":1,"pipeline":{"name":"patient","version":1},"revision":"1","id":"patient-1","theme":null,"state":"active","tracks":{"main":{"phase":"active","status":"new","since":"2026-11-20T14:34:43.545Z","by":null,"reached":["new"],"sequences":{},"outcome":null}},"held":[{"key":"key-7","requestHash":"NXTtLzs4zSWOb2Hb--e3REwoh3UcrxsDj8hjBalDmn0","actor":"anonymous","keyEvents":2,"bytes":104,"status":"checked","reason":"predecessor_missing","heldAt":"2026-11-20T14:34:43.545Z","facts":{"track":"main","service":"sample","data":{"early":1}}}],"data":{},"metadata":{},"dataBytesMax":80,"metadataBytesMax":80,"lastHash":"5164e2fb54bea6d65c458f462f16b1cf4cbf3043c335bfaea7f8cf18399844a8","openedAt":"2026-11-20T14:34:43.545Z","updatedAt":"2026-11-20T14:34:43.545Z","openedBy":"key-7"}', '{}', '{}'),
('patient-2', '6154933360883818153', '1795185283670', '1795185283612', '3', '21', NULL, '{"stateVersion":1,"pipeline":{"name":"patient","version":1},"revision":"3","id":"patient-2","theme":null,"state":"active","tracks":{"main":{"phase":"active","status":"checked","since":"2026-11-20T14:34:43.670Z","by":"sample","reached":["new","read","checked"],"sequences":{},"outcome":null}},"held":[],"data":{},"metadata":{},"dataBytesMax":80,"metadataBytesMax":80,"lastHash":"2045bcfbc4d6ab2e2dd4b9499accd100eec49325b83173afeb414d98ec492401","openedAt":"2026-11-20T14:34:43.612Z","updatedAt":"2026-11-20T14:34:43.670Z","openedBy":"key-8"}', '{}', '{}')
ON CONFLICT (id) DO UPDATE SET shape = excluded.shape, updated_at = excluded.updated_at, opened_at = excluded.opened_at, revision = excluded.revision, "position" = excluded."position", facets = excluded.facets, state = excluded.state, data = excluded.data, metadata = excluded.metadata;

INSERT INTO waybill_read.pipelines (name, version, definition, defined_at) OVERRIDING SYSTEM VALUE VALUES
('linear', '1', '{"outOfOrder":"advance","lateData":"fill","recordIgnored":true,"tracks":{"main":{"initial":"new","transitions":{"new":["read"],"read":["checked"],"checked":["done"]},"final":{"done":"succeeded"}}}}', '2026-11-20T14:34:42.412Z'),
('linear', '2', '{"outOfOrder":"reject","lateData":"fill","recordIgnored":true,"tracks":{"main":{"initial":"new","transitions":{"new":["read"],"read":["checked"],"checked":["done"]},"final":{"done":"succeeded"}}}}', '2026-11-20T14:34:42.806Z'),
('parallel', '1', '{"outOfOrder":"hold","lateData":"fill","recordIgnored":true,"tracks":{"main":{"initial":"new","transitions":{"new":["read"],"read":["checked","broken"],"checked":["done"]},"final":{"done":"succeeded","broken":"failed"},"requires":{"done":[{"track":"fraud","in":["passed"]}]}},"fraud":{"initial":"waiting","transitions":{"waiting":["passed","failed"]},"final":{"passed":"succeeded","failed":"failed"},"startsWhen":{"track":"main","in":["read"]}}}}', '2026-11-20T14:34:42.649Z'),
('patient', '1', '{"outOfOrder":"hold","lateData":"fill","recordIgnored":true,"tracks":{"main":{"initial":"new","transitions":{"new":["read"],"read":["checked"],"checked":["done"]},"final":{"done":"succeeded"}}}}', '2026-11-20T14:34:42.573Z')
ON CONFLICT (name, version) DO UPDATE SET definition = excluded.definition, defined_at = excluded.defined_at;

INSERT INTO waybill_read.shapes (id, pipeline, state, tracks, operations) OVERRIDING SYSTEM VALUE VALUES
('-7719083295568229838', 'any', 'active', '{"main": "anything at all"}', '0'),
('-7481669893650086265', 'any', 'failed', '{"main": "gone"}', '1'),
('-7198852134200344642', 'linear', 'active', '{"main": "new"}', '1'),
('-6265526766670052299', 'patient', 'active', '{"main": "new"}', '1'),
('-5746965633267173338', 'parallel', 'succeeded', '{"main": "done", "fraud": "passed"}', '1'),
('-2558417261342585135', 'parallel', 'active', '{"main": "broken", "fraud": "waiting"}', '1'),
('1001537480768066762', 'parallel', 'active', '{"main": "checked", "fraud": "waiting"}', '0'),
('3966045760577408542', 'linear', 'succeeded', '{"main": "done"}', '1'),
('6090348597902053250', 'parallel', 'active', '{"main": "new", "fraud": null}', '1'),
('6154933360883818153', 'patient', 'active', '{"main": "checked"}', '1'),
('8280502315069662464', 'linear', 'active', '{"main": "read"}', '1'),
('8783728031042998542', 'parallel', 'active', '{"main": "read", "fraud": "waiting"}', '0')
ON CONFLICT (id) DO UPDATE SET pipeline = excluded.pipeline, state = excluded.state, tracks = excluded.tracks, operations = excluded.operations;
