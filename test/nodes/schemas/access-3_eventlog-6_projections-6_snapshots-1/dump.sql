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

-- access 0002_bindings
-- Keys that may report for some services, and into some pipelines, alone; and a role of its own for defining pipelines.

ALTER TABLE waybill_access.keys
  -- Null: all of them.
  ADD COLUMN services text[] COLLATE "C",
  ADD COLUMN pipelines text[] COLLATE "C",
  -- False: made when the role service let define pipelines too, or by a node that runs the code of then. The key keeps that.
  ADD COLUMN definer_stated boolean NOT NULL DEFAULT false,
  DROP CONSTRAINT keys_roles_known,
  -- A key that is bound has the role bound_service in place of service: nodes that run older code, and would not look at what
  -- it is bound to, know no such role and let it do nothing.
  ADD CONSTRAINT keys_roles_known CHECK (
    cardinality(roles) > 0
    AND roles <@ ARRAY['service', 'bound_service', 'definer', 'viewer', 'auditor', 'operator']
  ),
  ADD CONSTRAINT keys_services_counted CHECK (cardinality(services) BETWEEN 1 AND 16),
  ADD CONSTRAINT keys_pipelines_counted CHECK (cardinality(pipelines) BETWEEN 1 AND 16),
  ADD CONSTRAINT keys_bound_apart CHECK (
    CASE
      WHEN services IS NULL AND pipelines IS NULL THEN NOT 'bound_service' = ANY (roles)
      ELSE definer_stated AND NOT roles && ARRAY['service', 'operator']
    END
  );

-- access 0003_validated_changes
-- Keys are made and revoked by functions that hold to the rules, whoever calls them. The service's role has had rights to write
-- to the tables itself, which nodes of the version before still use: until a later migration takes them away, a trigger holds
-- those writes to the same rules. Neither binds the owner, who restores.

-- Raises check_violation unless a key may be so. What its constraints say already is not said again.
CREATE FUNCTION waybill_access.check_key(checked waybill_access.keys) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF (
    checked.id ~ '^[0-9a-f]{16}$'
    AND checked.name ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$' AND checked.name NOT IN ('anonymous', 'operator')
    AND checked.created_by ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$'
    AND checked.revoked_at IS NULL AND checked.revoked_by IS NULL
    AND array_ndims(checked.roles) = 1
    AND coalesce(array_ndims(checked.services), 1) = 1 AND coalesce(array_ndims(checked.pipelines), 1) = 1
    AND NOT EXISTS (SELECT FROM unnest(checked.roles) AS r (role) GROUP BY r.role HAVING r.role IS NULL OR count(*) > 1)
    AND NOT EXISTS (
      SELECT FROM unnest(checked.services) AS s (service) GROUP BY s.service
      HAVING s.service IS NULL OR count(*) > 1 OR char_length(s.service) NOT BETWEEN 1 AND 128
        OR s.service ~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]'
    )
    AND NOT EXISTS (
      SELECT FROM unnest(checked.pipelines) AS p (pipeline) GROUP BY p.pipeline
      HAVING p.pipeline IS NULL OR count(*) > 1 OR p.pipeline !~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$'
    )
  ) IS NOT TRUE THEN
    RAISE EXCEPTION 'no key may be so' USING ERRCODE = 'check_violation', CONSTRAINT = 'keys_checked';
  END IF;
END
$$;

-- Nodes keep all keys in memory.
CREATE FUNCTION waybill_access.are_keys_full() RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN (SELECT count(*) >= 10000 FROM waybill_access.keys WHERE revoked_at IS NULL); END $$;

-- Waits for the changes that are under way. Whether the caller may still make one: a node may not have heard yet that its
-- caller's key is revoked, or that there is a key by now. `caller`: the name that goes on record, null when it may not.
CREATE FUNCTION waybill_access.begin_change(origin text, caller_key_id text, OUT caller text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  counted bigint;
BEGIN
  SELECT c.counter INTO STRICT counted FROM waybill_access.changes c FOR UPDATE;
  caller := CASE origin
    WHEN 'configuration' THEN 'operator'
    WHEN 'nobody' THEN CASE WHEN counted = 0 THEN 'anonymous' END
    WHEN 'database' THEN (
      SELECT k.name FROM waybill_access.keys k
      WHERE k.id = caller_key_id AND k.revoked_at IS NULL AND 'operator' = ANY (k.roles)
    )
  END;
END
$$;

-- Makes a key, unless `refusal` says why not. The caller commits.
CREATE FUNCTION waybill_access.create_key(
  key_id text,
  key_name text,
  key_roles text[],
  key_services text[],
  key_pipelines text[],
  key_digest bytea,
  origin text,
  caller_key_id text,
  OUT refusal text,
  OUT created_at timestamptz,
  OUT created_by text
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  made waybill_access.keys;
BEGIN
  created_by := waybill_access.begin_change(origin, caller_key_id);
  refusal := CASE
    WHEN created_by IS NULL THEN 'caller_unknown'
    WHEN origin = 'nobody' AND NOT 'operator' = ANY (key_roles) THEN 'operator_needed'
    WHEN EXISTS (SELECT FROM waybill_access.keys k WHERE k.name = key_name AND k.revoked_at IS NULL) THEN 'name_taken'
    WHEN waybill_access.are_keys_full() THEN 'full'
  END;
  IF refusal IS NOT NULL THEN
    RETURN;
  END IF;
  made.id := key_id;
  made.name := key_name;
  made.roles := key_roles;
  made.services := key_services;
  made.pipelines := key_pipelines;
  made.digest := key_digest;
  made.definer_stated := true;
  made.created_at := now();
  made.created_by := created_by;
  PERFORM waybill_access.check_key(made);
  INSERT INTO waybill_access.keys (id, name, roles, services, pipelines, digest, definer_stated, created_at, created_by)
  VALUES (
    made.id, made.name, made.roles, made.services, made.pipelines, made.digest, made.definer_stated, made.created_at,
    made.created_by
  );
  UPDATE waybill_access.changes SET counter = counter + 1;
  created_at := made.created_at;
END
$$;

-- Revokes the key of that name. `refusal` is null when it did; no `key_id`: there is none in force. The caller commits.
CREATE FUNCTION waybill_access.revoke_key(
  key_name text, origin text, caller_key_id text, OUT refusal text, OUT key_id text
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  caller CONSTANT text := waybill_access.begin_change(origin, caller_key_id);
  is_operator boolean;
BEGIN
  IF caller IS NULL THEN
    refusal := 'caller_unknown';
    RETURN;
  END IF;
  SELECT k.id, 'operator' = ANY (k.roles) INTO key_id, is_operator
  FROM waybill_access.keys k WHERE k.name = key_name AND k.revoked_at IS NULL;
  -- Nobody could manage keys any more.
  IF is_operator AND origin <> 'configuration' AND NOT EXISTS (
    SELECT FROM waybill_access.keys k WHERE k.revoked_at IS NULL AND 'operator' = ANY (k.roles) AND k.id <> key_id
  ) THEN
    refusal := 'operator_needed';
  ELSIF key_id IS NOT NULL THEN
    UPDATE waybill_access.keys k SET revoked_at = now(), revoked_by = caller WHERE k.id = key_id;
    UPDATE waybill_access.changes SET counter = counter + 1;
  END IF;
END
$$;

-- Not with its owner's rights: it must know whose they are.
CREATE FUNCTION waybill_access.hold_to_rules() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  revoker text;
BEGIN
  IF pg_has_role(current_user, (SELECT c.relowner FROM pg_class c WHERE c.oid = TG_RELID), 'USAGE') THEN
    RETURN NEW;
  END IF;
  IF TG_TABLE_NAME = 'changes' THEN
    IF NEW.counter <> OLD.counter + 1 THEN
      RAISE EXCEPTION 'changes are counted one by one' USING ERRCODE = 'check_violation', CONSTRAINT = 'changes_counted';
    END IF;
    RETURN NEW;
  END IF;
  -- Nodes hear of every change, also from a writer who does not count it. Its lock comes before the look at how many there are.
  UPDATE waybill_access.changes SET counter = counter + 1;
  IF TG_OP = 'INSERT' THEN
    PERFORM waybill_access.check_key(NEW);
    IF waybill_access.are_keys_full() THEN
      RAISE EXCEPTION 'there are too many keys' USING ERRCODE = 'check_violation', CONSTRAINT = 'keys_counted';
    END IF;
    NEW.created_at := now();
    RETURN NEW;
  END IF;
  revoker := NEW.revoked_by;
  NEW := OLD;
  NEW.revoked_at := now();
  NEW.revoked_by := revoker;
  IF OLD.revoked_at IS NOT NULL OR (revoker ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$') IS NOT TRUE THEN
    RAISE EXCEPTION 'a key can be revoked, once' USING ERRCODE = 'check_violation', CONSTRAINT = 'keys_revoked_once';
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER keys_hold_to_rules BEFORE INSERT OR UPDATE ON waybill_access.keys
  FOR EACH ROW EXECUTE FUNCTION waybill_access.hold_to_rules();
CREATE TRIGGER changes_hold_to_rules BEFORE UPDATE ON waybill_access.changes
  FOR EACH ROW EXECUTE FUNCTION waybill_access.hold_to_rules();
ALTER TABLE waybill_access.keys ENABLE ALWAYS TRIGGER keys_hold_to_rules;
ALTER TABLE waybill_access.changes ENABLE ALWAYS TRIGGER changes_hold_to_rules;

REVOKE ALL ON FUNCTION
  waybill_access.check_key, waybill_access.are_keys_full, waybill_access.begin_change, waybill_access.create_key,
  waybill_access.revoke_key, waybill_access.hold_to_rules
FROM PUBLIC;

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

-- eventlog 0004_append_chains
-- append_chains() takes append()'s place (0002_append.sql) and costs a fifth less: where a stream stands that the caller knows
-- is not looked up while nobody else writes (docs/adr/0009-known-streams.md). append() stays for nodes of the version before,
-- which may be running still; what it appends counts as another writer's here.

-- Who appended last, where that left the log, and a number that grows whenever a writer finds the log otherwise than it had
-- left it itself: while the turn is the same, all that was appended was appended by one session.
ALTER TABLE waybill_log.log_head
  ADD COLUMN writer bigint NOT NULL DEFAULT 0,
  ADD COLUMN written_to bigint NOT NULL DEFAULT 0,
  ADD COLUMN turn bigint NOT NULL DEFAULT 0;

-- Appends the chains of one batch (docs/adr/0003-chains.md): all events of a chain, or none when its stream does not stand
-- where the chain's first link expects it. One call in autocommit is one round trip and one commit, and no client can hold
-- the head's lock by dying in the middle.
--
-- caller: any number that is this session's alone. caller_turn: the turn in which the caller learnt chain_numbers.
--
-- Chains come as parallel arrays in one order: names, joined by U+001E (JSON text and names never hold it); the number of
-- the stream, when the caller knows that in caller_turn it had the revision expected, else 0; the last revision each
-- expects, -1 for no stream; its number of events, 0 for a mere check; the number of events of the chains before it. Events
-- come in order of their chains: the chain (from 1), the place in it (from 1), id, type, data, metadata. Joined text,
-- because splitting it here costs a third of what building and parsing array literals does.
--
-- head_before: the log's last position before this call; accepted events follow it without a gap, in the order given.
-- conflicts: a line "chain:revision" for each chain not appended, with the revision its stream has; empty when all were.
-- turn: the log's, from this call on. numbers: of the chains' streams, joined by commas, 0 or less for a chain that was not
-- appended or has no stream; empty when the caller knew them all.
--
-- Raises WB001 when the log is not the one the caller opened, and unique_violation by constraint name for an event id that
-- is in the log already: then nothing of the call is appended.
CREATE FUNCTION waybill_log.append_chains(
  caller_log_id uuid,
  caller bigint,
  caller_turn bigint,
  chain_streams text,
  chain_numbers integer[],
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
  OUT conflicts text,
  OUT turn bigint,
  OUT numbers text
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
  log uuid;
  last_stream integer;
  known integer[] := chain_numbers;
  streams_at integer[];
  revisions bigint[];
  bases bigint[] := chain_bases;
  event_count bigint := cardinality(event_ids);
  new_streams integer := 0;
BEGIN
  -- In any higher isolation the statements below would see the log as it was before the wait for the lock.
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'append_chains() needs READ COMMITTED' USING ERRCODE = 'invalid_transaction_state';
  END IF;
  conflicts := '';
  numbers := '';
  IF chain_streams = '' THEN
    SELECT h.position, h.turn INTO head_before, turn FROM log_head h;
    RETURN;
  END IF;

  -- A statement of its own: those after it take their snapshots with the lock held, so they see all that was appended. It
  -- writes what is right for most batches; where some of this one is not taken, the last statement puts it right.
  UPDATE log_head h
  SET position = h.position + event_count, writer = caller, written_to = h.position + event_count,
    turn = CASE WHEN h.writer = caller AND h.written_to = h.position THEN h.turn ELSE h.turn + 1 END
  RETURNING h.log_id, h.position - event_count, h.stream_number, h.turn INTO log, head_before, last_stream, turn;
  IF log IS DISTINCT FROM caller_log_id THEN
    RAISE EXCEPTION 'this is log %, not %', log, caller_log_id USING ERRCODE = 'WB001';
  END IF;
  IF turn <> caller_turn THEN
    known := array_fill(0, ARRAY[cardinality(chain_numbers)]);
  END IF;

  IF 0 = ANY (known) THEN
    -- Where each chain's stream stands: its number, 0 for no stream, and its last revision, -1 for none.
    SELECT array_agg(coalesce(nullif(c.known, 0), s.number, 0) ORDER BY c.ord),
      array_agg(CASE WHEN c.known <> 0 THEN c.expected ELSE coalesce(l.revision, -1) END ORDER BY c.ord)
    INTO streams_at, revisions
    FROM unnest(string_to_array(chain_streams, separator), known, chain_expected) WITH ORDINALITY
      AS c (name, known, expected, ord)
    LEFT JOIN streams s ON s.name = CASE WHEN c.known = 0 THEN c.name END
    LEFT JOIN LATERAL (
      SELECT e.revision FROM events e WHERE e.stream_number = s.number ORDER BY e.revision DESC LIMIT 1
    ) l ON true;

    -- Most batches go on with streams that are there and stand where they should: nothing more is to be found out. (The
    -- statement below costs 50 us more, which batches of a few events notice.)
    IF revisions <> chain_expected OR 0 = ANY (streams_at) THEN
      -- A chain that conflicts gets number 0 and takes no part; one that opens its stream gets the next free number; one
      -- that only checks that there is no stream keeps -1. Events of the chains that take part follow each other without
      -- a gap.
      WITH judged AS (
        SELECT c.ord, c.number, c.revision, c.events, c.revision = c.expected AS accepted,
          CASE WHEN c.revision = c.expected THEN c.events ELSE 0 END AS taken,
          c.revision = c.expected AND c.number = 0 AND c.events > 0 AS opens
        FROM unnest(streams_at, revisions, chain_expected, chain_events) WITH ORDINALITY
          AS c (number, revision, expected, events, ord)
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
      INTO streams_at, bases, event_count, new_streams, conflicts
      FROM counted;
    END IF;
    numbers := array_to_string(streams_at, ',');
  ELSE
    streams_at := known;
  END IF;

  IF new_streams > 0 THEN
    INSERT INTO streams (number, name)
    SELECT c.number, c.name
    FROM unnest(streams_at, string_to_array(chain_streams, separator)) AS c (number, name)
    WHERE c.number > last_stream;
  END IF;

  IF event_count > 0 THEN
    INSERT INTO events (position, revision, stream_number, id, type, data, metadata)
    SELECT head_before + bases[e.chain] + e.place, chain_expected[e.chain] + e.place, streams_at[e.chain],
      e.id, e.type, e.data::json, e.metadata::json
    FROM unnest(
      event_chains,
      event_places,
      event_ids,
      string_to_array(event_types, separator),
      string_to_array(event_data, separator),
      string_to_array(event_metadata, separator)
    ) AS e (chain, place, id, type, data, metadata)
    WHERE streams_at[e.chain] > 0;
  END IF;

  IF event_count <> cardinality(event_ids) OR new_streams > 0 THEN
    UPDATE log_head
    SET position = head_before + event_count, written_to = head_before + event_count,
      stream_number = last_stream + new_streams;
  END IF;
END
$$;

REVOKE ALL ON FUNCTION waybill_log.append_chains FROM PUBLIC;

DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'waybill_service') THEN
    GRANT EXECUTE ON FUNCTION waybill_log.append_chains TO waybill_service;
  END IF;
END
$$;

-- eventlog 0005_copying
-- A log may move to another store (docs/operations.md). The one it leaves is closed, the one it comes to takes nothing from
-- services until all has been imported and compared.
--
-- state: `open` to appends; `importing`: only import_events() adds to it; `closed`: nothing does. copied_from: the log that it
-- is, or is becoming, a copy of. imports: counts the calls of import_events(), which is how the trigger knows them.
ALTER TABLE waybill_log.log_head
  ADD COLUMN state text NOT NULL DEFAULT 'open',
  ADD COLUMN copied_from uuid,
  ADD COLUMN imports bigint NOT NULL DEFAULT 0,
  ADD CONSTRAINT log_head_state CHECK (state IN ('open', 'importing', 'closed'));

CREATE FUNCTION waybill_log.refuse_append() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the log is %', CASE OLD.state WHEN 'closed' THEN 'closed' ELSE 'being copied' END
    USING ERRCODE = 'WB002';
END
$$;

-- On the head row, because every append updates it under its lock: none can slip by, of whatever version its node is.
CREATE TRIGGER log_head_refuse_append BEFORE UPDATE ON waybill_log.log_head
  FOR EACH ROW WHEN (OLD.state <> 'open' AND NEW.position <> OLD.position AND NEW.imports = OLD.imports)
  EXECUTE FUNCTION waybill_log.refuse_append();
ALTER TABLE waybill_log.log_head ENABLE ALWAYS TRIGGER log_head_refuse_append;

-- Adds events of another log in its order: parallel arrays, an element for each event. Runs with its caller's rights: only
-- the owner may. Returns the position of the last one.
--
-- Raises WB003 when the log does not end at `after`, or is no copy under way.
CREATE FUNCTION waybill_log.import_events(
  after bigint,
  event_streams text[],
  event_revisions bigint[],
  event_ids uuid[],
  event_types text[],
  event_data text[],
  event_metadata text[]
) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, waybill_log, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
DECLARE
  head_position bigint;
  last_stream integer;
  new_streams integer;
BEGIN
  SELECT h.position, h.stream_number INTO head_position, last_stream
  FROM log_head h WHERE h.state = 'importing' FOR NO KEY UPDATE;
  IF head_position IS DISTINCT FROM after THEN
    RAISE EXCEPTION 'the copy does not end at %', after USING ERRCODE = 'WB003';
  END IF;

  INSERT INTO streams (number, name)
  SELECT last_stream + row_number() OVER (ORDER BY min(e.ord)), e.name
  FROM unnest(event_streams) WITH ORDINALITY AS e (name, ord)
  WHERE NOT EXISTS (SELECT FROM streams s WHERE s.name = e.name)
  GROUP BY e.name;
  GET DIAGNOSTICS new_streams = ROW_COUNT;

  INSERT INTO events (position, revision, stream_number, id, type, data, metadata)
  SELECT head_position + e.ord, e.revision, s.number, e.id, e.type, e.data::json, e.metadata::json
  FROM unnest(event_streams, event_revisions, event_ids, event_types, event_data, event_metadata) WITH ORDINALITY
    AS e (name, revision, id, type, data, metadata, ord)
  JOIN streams s ON s.name = e.name;

  head_position := head_position + cardinality(event_ids);
  UPDATE log_head SET position = head_position, stream_number = last_stream + new_streams, imports = imports + 1;
  RETURN head_position;
END
$$;

REVOKE ALL ON FUNCTION waybill_log.import_events FROM PUBLIC;

-- eventlog 0006_validated_appends
-- Appends that cannot be bent. Whoever may call these functions may append events, and nothing else: no position or revision
-- that is left out or given out ahead (the appends that come to it would fail for good), no number of a stream that is not
-- there, no name or size that readers cannot take. Both keep their signatures: nodes of the version before go on calling them.

-- What the parameters and the answer mean: 0004_append_chains.sql. event_places is not looked at any more, and may be empty.
-- Parameters that contradict each other are an invalid_parameter_value, and nothing of the call is appended.
CREATE OR REPLACE FUNCTION waybill_log.append_chains(
  caller_log_id uuid,
  caller bigint,
  caller_turn bigint,
  chain_streams text,
  chain_numbers integer[],
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
  OUT conflicts text,
  OUT turn bigint,
  OUT numbers text
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
  log uuid;
  last_stream integer;
  known integer[] := chain_numbers;
  streams_at integer[];
  revisions bigint[];
  bases bigint[] := chain_bases;
  event_count bigint := cardinality(event_ids);
  new_streams integer := 0;
  inserted bigint;
BEGIN
  -- In any higher isolation the statements below would see the log as it was before the wait for the lock.
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'append_chains() needs READ COMMITTED' USING ERRCODE = 'invalid_transaction_state';
  END IF;
  conflicts := '';
  numbers := '';
  IF chain_streams = '' THEN
    SELECT h.position, h.turn INTO head_before, turn FROM log_head h;
    RETURN;
  END IF;

  -- Subscripts and unnest() must mean the same elements: the first one is 1, and there is one for each chain.
  IF array_ndims(chain_expected) <> 1 OR array_lower(chain_expected, 1) <> 1
    OR array_dims(chain_numbers) IS DISTINCT FROM array_dims(chain_expected)
    OR array_dims(chain_events) IS DISTINCT FROM array_dims(chain_expected)
    OR array_dims(chain_bases) IS DISTINCT FROM array_dims(chain_expected)
    OR 0 > ANY (chain_events)
  THEN
    RAISE EXCEPTION 'the chains are not described one by one' USING ERRCODE = 'invalid_parameter_value';
  END IF;

  -- A statement of its own: those after it take their snapshots with the lock held, so they see all that was appended. It
  -- writes what is right for most batches; where some of this one is not taken, the last statement puts it right.
  UPDATE log_head h
  SET position = h.position + event_count, writer = caller, written_to = h.position + event_count,
    turn = CASE WHEN h.writer = caller AND h.written_to = h.position THEN h.turn ELSE h.turn + 1 END
  RETURNING h.log_id, h.position - event_count, h.stream_number, h.turn INTO log, head_before, last_stream, turn;
  IF log IS DISTINCT FROM caller_log_id THEN
    RAISE EXCEPTION 'this is log %, not %', log, caller_log_id USING ERRCODE = 'WB001';
  END IF;
  IF turn <> caller_turn THEN
    known := array_fill(0, ARRAY[cardinality(chain_numbers)]);
  END IF;

  IF 0 = ANY (known) THEN
    -- Where each chain's stream stands: its number, 0 for no stream, and its last revision, -1 for none.
    SELECT array_agg(coalesce(nullif(c.known, 0), s.number, 0) ORDER BY c.ord),
      array_agg(CASE WHEN c.known <> 0 THEN c.expected ELSE coalesce(l.revision, -1) END ORDER BY c.ord)
    INTO streams_at, revisions
    FROM unnest(string_to_array(chain_streams, separator), known, chain_expected) WITH ORDINALITY
      AS c (name, known, expected, ord)
    LEFT JOIN streams s ON s.name = CASE WHEN c.known = 0 THEN c.name END
    LEFT JOIN LATERAL (
      SELECT e.revision FROM events e WHERE e.stream_number = s.number ORDER BY e.revision DESC LIMIT 1
    ) l ON true;

    -- Most batches go on with streams that are there and stand where they should: nothing more is to be found out. (The
    -- statement below costs 50 us more, which batches of a few events notice.)
    IF revisions <> chain_expected OR 0 = ANY (streams_at) THEN
      -- A chain that conflicts gets number 0 and takes no part; one that opens its stream gets the next free number; one
      -- that only checks that there is no stream keeps -1. Events of the chains that take part follow each other without
      -- a gap.
      WITH judged AS (
        SELECT c.ord, c.number, c.revision, c.events, c.revision = c.expected AS accepted,
          CASE WHEN c.revision = c.expected THEN c.events ELSE 0 END AS taken,
          c.revision = c.expected AND c.number = 0 AND c.events > 0 AS opens
        FROM unnest(streams_at, revisions, chain_expected, chain_events) WITH ORDINALITY
          AS c (number, revision, expected, events, ord)
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
      INTO streams_at, bases, event_count, new_streams, conflicts
      FROM counted;
    END IF;
    numbers := array_to_string(streams_at, ',');
  ELSE
    streams_at := known;
  END IF;

  IF new_streams > 0 THEN
    INSERT INTO streams (number, name)
    SELECT c.number, c.name
    FROM unnest(streams_at, string_to_array(chain_streams, separator)) AS c (number, name)
    WHERE c.number > last_stream
      AND octet_length(c.name) BETWEEN 1 AND 512 AND c.name !~ '[\u0001-\u001f\u007f-\u009f]';
    GET DIAGNOSTICS inserted = ROW_COUNT;
    IF inserted <> new_streams THEN
      RAISE EXCEPTION 'a stream cannot be opened by this name' USING ERRCODE = 'invalid_parameter_value';
    END IF;
  END IF;

  IF event_count > 0 THEN
    -- An event's place in its chain is counted here. A chain that gives too many events, or too few, or not one behind the
    -- other, has rows that the conditions leave out, and the count below tells. The last condition is about a stream that is
    -- vouched for by the caller alone: it must have the revision expected (which costs a tenth of looking it up by name; not
    -- EXISTS, which may be planned as a hash of the whole log).
    INSERT INTO events (position, revision, stream_number, id, type, data, metadata)
    SELECT head_before + bases[e.chain] + e.ord - chain_bases[e.chain], chain_expected[e.chain] + e.ord - chain_bases[e.chain],
      streams_at[e.chain], e.id, e.type, e.data::json, e.metadata::json
    FROM unnest(
      event_chains,
      event_ids,
      string_to_array(event_types, separator),
      string_to_array(event_data, separator),
      string_to_array(event_metadata, separator)
    ) WITH ORDINALITY AS e (chain, id, type, data, metadata, ord)
    WHERE streams_at[e.chain] > 0
      AND e.ord - chain_bases[e.chain] BETWEEN 1 AND chain_events[e.chain]
      AND octet_length(e.type) BETWEEN 1 AND 512
      AND octet_length(e.data) + octet_length(e.metadata) <= 1000000
      AND (SELECT sum(c.events) FROM unnest(chain_events) AS c (events)) = cardinality(event_ids)
      AND (
        e.ord - chain_bases[e.chain] > 1
        OR known[e.chain] = 0
        OR (SELECT true FROM events l WHERE l.stream_number = known[e.chain] AND l.revision = chain_expected[e.chain])
      );
    GET DIAGNOSTICS inserted = ROW_COUNT;
    IF inserted <> event_count THEN
      RAISE EXCEPTION 'the events are not those of the chains' USING ERRCODE = 'invalid_parameter_value';
    END IF;
  END IF;

  IF event_count <> cardinality(event_ids) OR new_streams > 0 THEN
    UPDATE log_head
    SET position = head_before + event_count, written_to = head_before + event_count,
      stream_number = last_stream + new_streams;
  END IF;
END
$$;

-- For nodes of before 0004_append_chains.sql: by the same rules, and as another writer than any.
CREATE OR REPLACE FUNCTION waybill_log.append(
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
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  SELECT a.head_before, a.conflicts INTO STRICT head_before, conflicts
  FROM waybill_log.append_chains(
    caller_log_id, 0, -1, chain_streams, array_fill(0, ARRAY[cardinality(chain_expected)]), chain_expected, chain_events,
    chain_bases, event_chains, event_places, event_ids, event_types, event_data, event_metadata
  ) a;
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

-- projections 0002_shadow
-- A second set of the tables that are folded from the log. A rebuild fills it while the first set goes on being read and
-- written; then they change places, in one short transaction (docs/adr/0007-shadow-tables.md).

CREATE SCHEMA waybill_shadow;

-- How far the shadow is folded. The tables beside it are there only while it names a log.
CREATE TABLE waybill_shadow.checkpoints (
  name text NOT NULL,
  position bigint NOT NULL,
  -- Raised by whoever begins a rebuild, goes on with it or drops it; a writer of an older epoch writes nothing.
  epoch bigint NOT NULL,
  log_id text,
  fold_version integer,
  -- The room's migrations when the tables were made: of another form, they are of no use.
  migrations integer,
  CONSTRAINT checkpoints_pkey PRIMARY KEY (name)
) WITH (fillfactor = 10);

INSERT INTO waybill_shadow.checkpoints (name, position, epoch) VALUES ('operations', 0, 0);

-- The tables that a rebuild makes anew, in the order in which most reads lock them.
CREATE FUNCTION waybill_read.rebuilt_tables() RETURNS text[]
LANGUAGE sql IMMUTABLE
AS $$ SELECT ARRAY['shapes', 'operations', 'parked', 'pipelines'] $$;

CREATE FUNCTION waybill_read.migrations_applied() RETURNS integer
LANGUAGE plpgsql
AS $$ BEGIN RETURN (SELECT max(number) FROM waybill.migrations WHERE room = 'projections'); END $$;

-- Raises WB001 unless this is the epoch of the projection's owner; until the transaction ends, it stays so.
CREATE FUNCTION waybill_read.expect_epoch(projection text, owner_epoch bigint) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
  PERFORM FROM waybill_read.checkpoints WHERE name = projection AND epoch = owner_epoch FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'projection % is no longer owned by epoch %', projection, owner_epoch USING ERRCODE = 'WB001';
  END IF;
END
$$;

-- Tables like those in use, with their constraints, settings and rights. Of their indexes, only what is needed to fold.
-- Raises WB004 when a view stands in the way.
CREATE FUNCTION waybill_read.make_shadow_tables() RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
  made text;
  used regclass;
  part record;
BEGIN
  FOREACH made IN ARRAY waybill_read.rebuilt_tables() LOOP
    used := format('waybill_read.%I', made)::regclass;
    FOR part IN
      SELECT r.ev_class::regclass AS name FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
      WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = used
    LOOP
      RAISE EXCEPTION 'the view % stands in the way of a rebuild: it would go on showing the table that is dropped', part.name
        USING ERRCODE = 'WB004';
    END LOOP;
    EXECUTE format('DROP TABLE IF EXISTS waybill_shadow.%I', made);
    EXECUTE format('CREATE TABLE waybill_shadow.%I (LIKE %s INCLUDING ALL EXCLUDING INDEXES)', made, used);
    FOR part IN SELECT unnest(reloptions) AS setting FROM pg_class WHERE oid = used LOOP
      EXECUTE format('ALTER TABLE waybill_shadow.%I SET (%s)', made, part.setting);
    END LOOP;
    FOR part IN
      SELECT conname AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint
      WHERE conrelid = used AND contype IN ('p', 'u')
    LOOP
      EXECUTE format('ALTER TABLE waybill_shadow.%I ADD CONSTRAINT %I %s', made, part.name, part.definition);
    END LOOP;
    FOR part IN
      SELECT x.privilege_type AS privilege, CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END AS grantee
      FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) x WHERE c.oid = used AND x.grantee <> c.relowner
    LOOP
      EXECUTE format('GRANT %s ON waybill_shadow.%I TO %s', part.privilege, made, part.grantee);
    END LOOP;
  END LOOP;
END
$$;

-- Those below run with their owner's rights: the service may write rows, and neither make tables nor drop them.

-- Goes on with the rebuild that was broken off, when it was of this log, fold and form of the tables, and else begins one.
-- What its writer before has under way is waited for, and is the last of it.
CREATE FUNCTION waybill_read.open_shadow(
  projection text, owner_epoch bigint, of_log text, by_fold integer, OUT shadow_epoch bigint, OUT folded_to bigint
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  shadow waybill_shadow.checkpoints;
BEGIN
  UPDATE waybill_shadow.checkpoints SET epoch = epoch + 1 WHERE name = projection RETURNING * INTO STRICT shadow;
  IF (shadow.log_id, shadow.fold_version, shadow.migrations)
    IS DISTINCT FROM (of_log, by_fold, waybill_read.migrations_applied())
  THEN
    PERFORM waybill_read.make_shadow_tables();
    UPDATE waybill_shadow.checkpoints
    SET position = 0, log_id = of_log, fold_version = by_fold, migrations = waybill_read.migrations_applied()
    WHERE name = projection
    RETURNING * INTO STRICT shadow;
  END IF;
  shadow_epoch := shadow.epoch;
  folded_to := shadow.position;
  -- Last, as whoever projects waits for it.
  PERFORM waybill_read.expect_epoch(projection, owner_epoch);
END
$$;

-- Makes the indexes that are not there yet: at the end, in a fraction of the time they would take along the way.
CREATE FUNCTION waybill_read.index_shadow(projection text, shadow_epoch bigint) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  made text;
  part record;
BEGIN
  PERFORM FROM waybill_shadow.checkpoints WHERE name = projection AND epoch = shadow_epoch FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the shadow of % is no longer written by epoch %', projection, shadow_epoch USING ERRCODE = 'WB001';
  END IF;
  FOREACH made IN ARRAY waybill_read.rebuilt_tables() LOOP
    FOR part IN
      SELECT pg_get_indexdef(i.indexrelid) AS definition FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
      WHERE i.indrelid = format('waybill_read.%I', made)::regclass
        AND to_regclass(format('waybill_shadow.%I', c.relname)) IS NULL
    LOOP
      EXECUTE replace(part.definition, ' ON waybill_read.', ' ON waybill_shadow.');
    END LOOP;
    EXECUTE format('ANALYZE waybill_shadow.%I', made);
  END LOOP;
END
$$;

-- Puts the shadow in the place of the tables in use, and drops those. False when it is behind them. Raises WB003 when the
-- tables in use have another form by now. Who is reading is waited for a moment only, as all that come later queue behind.
CREATE FUNCTION waybill_read.swap_shadow(projection text, owner_epoch bigint, shadow_epoch bigint) RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '100ms'
AS $$
DECLARE
  used waybill_read.checkpoints;
  shadow waybill_shadow.checkpoints;
  swapped text;
BEGIN
  PERFORM waybill_read.expect_epoch(projection, owner_epoch);
  SELECT * INTO STRICT used FROM waybill_read.checkpoints WHERE name = projection;
  SELECT * INTO shadow FROM waybill_shadow.checkpoints WHERE name = projection AND epoch = shadow_epoch FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the shadow of % is no longer written by epoch %', projection, shadow_epoch USING ERRCODE = 'WB001';
  END IF;
  IF shadow.log_id IS DISTINCT FROM used.log_id OR shadow.position < used.position THEN
    RETURN false;
  END IF;
  FOREACH swapped IN ARRAY waybill_read.rebuilt_tables() LOOP
    EXECUTE format('LOCK TABLE waybill_read.%I, waybill_shadow.%1$I IN ACCESS EXCLUSIVE MODE', swapped);
  END LOOP;
  -- Under the locks: no migration is under way.
  IF shadow.migrations IS DISTINCT FROM waybill_read.migrations_applied() THEN
    RAISE EXCEPTION 'the tables of % were migrated during the rebuild', projection USING ERRCODE = 'WB003';
  END IF;
  FOREACH swapped IN ARRAY waybill_read.rebuilt_tables() LOOP
    EXECUTE format('DROP TABLE waybill_read.%I', swapped);
    EXECUTE format('ALTER TABLE waybill_shadow.%I SET SCHEMA waybill_read', swapped);
  END LOOP;
  UPDATE waybill_read.checkpoints
  SET position = shadow.position, epoch = epoch + 1, fold_version = shadow.fold_version
  WHERE name = projection;
  UPDATE waybill_shadow.checkpoints
  SET position = 0, epoch = epoch + 1, log_id = NULL, fold_version = NULL, migrations = NULL
  WHERE name = projection;
  -- The rows were written without waiting for the disk; this commit waits, for them as well.
  PERFORM set_config('synchronous_commit', 'on', true);
  RETURN true;
END
$$;

CREATE FUNCTION waybill_read.drop_shadow(projection text, owner_epoch bigint) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  dropped text;
BEGIN
  UPDATE waybill_shadow.checkpoints
  SET position = 0, epoch = epoch + 1, log_id = NULL, fold_version = NULL, migrations = NULL
  WHERE name = projection;
  FOREACH dropped IN ARRAY waybill_read.rebuilt_tables() LOOP
    EXECUTE format('DROP TABLE IF EXISTS waybill_shadow.%I', dropped);
  END LOOP;
  PERFORM waybill_read.expect_epoch(projection, owner_epoch);
END
$$;

REVOKE ALL ON FUNCTION
  waybill_read.rebuilt_tables, waybill_read.migrations_applied, waybill_read.expect_epoch, waybill_read.make_shadow_tables,
  waybill_read.open_shadow, waybill_read.index_shadow, waybill_read.swap_shadow, waybill_read.drop_shadow
FROM PUBLIC;

DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'waybill_service') THEN
    GRANT USAGE ON SCHEMA waybill_shadow TO waybill_service;
    GRANT SELECT, UPDATE ON waybill_shadow.checkpoints TO waybill_service;
    GRANT EXECUTE ON FUNCTION
      waybill_read.open_shadow, waybill_read.index_shadow, waybill_read.swap_shadow, waybill_read.drop_shadow
    TO waybill_service;
  END IF;
END
$$;

-- projections 0003_control
-- What operators may ask of a projection, and who does it. Any node takes the request; the one that projects does it.

ALTER TABLE waybill_read.checkpoints
  -- The node that took the projection over last, and when; null until one has.
  ADD COLUMN owner text,
  ADD COLUMN owned_since timestamptz,
  -- Null: not paused. Whoever sets it raises the epoch with it: from that commit on, nothing more is folded.
  ADD COLUMN paused_at timestamptz,
  ADD COLUMN paused_by text;

-- The position of the last skip or retry that was about the operation; null for nearly all. It changes a row without an
-- event of the operation's own, and live streams of operations tell changes by position.
ALTER TABLE waybill_read.operations ADD COLUMN revisited_at bigint;

-- Rebuilds that were asked for: done by the node that projects, taken up by the next one when that dies.
CREATE TABLE waybill_read.rebuilds (
  id uuid NOT NULL,
  projection text NOT NULL,
  asked_at timestamptz NOT NULL DEFAULT now(),
  asked_by text NOT NULL,
  -- Of the last attempt; null before the first.
  began_at timestamptz,
  node text,
  attempt uuid,
  attempts integer NOT NULL DEFAULT 0,
  -- How far the last attempt has come, and the head of the log by then.
  position bigint NOT NULL DEFAULT 0,
  head bigint NOT NULL DEFAULT 0,
  ended_at timestamptz,
  outcome text,
  -- Why it failed, for a person.
  problem text,
  CONSTRAINT rebuilds_pkey PRIMARY KEY (id),
  CONSTRAINT rebuilds_outcome CHECK (outcome IN ('done', 'failed') AND (outcome IS NULL) = (ended_at IS NULL))
);

-- One at a time.
CREATE UNIQUE INDEX rebuilds_under_way ON waybill_read.rebuilds (projection) WHERE ended_at IS NULL;

-- As commit_batch, for a batch that holds interventions, each with the stream it is about: the same transaction takes those
-- streams out of `parked` that are folded again (or are parked anew, further on).
CREATE FUNCTION waybill_read.commit_revisiting_batch(
  revisits json,
  projection text, writer_epoch bigint, from_position bigint, to_position bigint,
  opened_ids text, opened_shapes text, opened_updated text, opened_opened text, opened_revisions text,
  opened_positions text, opened_facets text, opened_states text, opened_data text, opened_metadata text,
  changed_ids text, changed_shapes text, changed_updated text, changed_revisions text, changed_positions text,
  changed_facets text, changed_states text, changed_data text, changed_metadata text,
  shape_changes json, newly_parked json, newly_defined json
) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
  DELETE FROM parked WHERE stream IN (
    SELECT v.stream FROM json_to_recordset(revisits) AS v (stream text, unparked boolean) WHERE v.unparked
    UNION ALL
    SELECT v.stream FROM json_to_recordset(coalesce(newly_parked, '[]')) AS v (stream text)
  );
  PERFORM waybill_read.commit_batch(
    projection, writer_epoch, from_position, to_position,
    opened_ids, opened_shapes, opened_updated, opened_opened, opened_revisions,
    opened_positions, opened_facets, opened_states, opened_data, opened_metadata,
    changed_ids, changed_shapes, changed_updated, changed_revisions, changed_positions,
    changed_facets, changed_states, changed_data, changed_metadata,
    shape_changes, newly_parked, newly_defined
  );
  UPDATE operations o SET revisited_at = v.position
  FROM json_to_recordset(revisits) AS v (operation text, position bigint)
  WHERE o.id = v.operation;
END
$$;

DO $$
BEGIN
  -- Without the role (a server where it could not be made) the service runs as the owner of these tables.
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'waybill_service') THEN
    GRANT SELECT, INSERT, UPDATE, DELETE ON waybill_read.rebuilds TO waybill_service;
    GRANT EXECUTE ON FUNCTION waybill_read.commit_revisiting_batch TO waybill_service;
  END IF;
END
$$;

-- projections 0004_covering_key
-- The key also holds what most lists ask of an operation beside its id. A list in order of id, or of ids that begin alike, is
-- then found in the index alone. Each of the columns changes with nearly every report, and so do the entries of their own
-- indexes: no update becomes dearer by another index.
--
-- Readers wait while it is built: some six seconds for a million operations.
ALTER TABLE waybill_read.operations
  DROP CONSTRAINT operations_pkey,
  ADD CONSTRAINT operations_pkey PRIMARY KEY (id) INCLUDE (shape, updated_at, opened_at);

-- projections 0005_standings
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

-- projections 0006_checkpoints_within_the_log
-- A checkpoint beyond the end of the log means that events are lost, and nodes then refuse to serve. Nobody but the owner, who
-- restores, can bring that about by writing one. A log in another store has another id, and no head here to compare with.

CREATE FUNCTION waybill_read.hold_within_log() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF pg_has_role(current_user, (SELECT c.relowner FROM pg_class c WHERE c.oid = TG_RELID), 'USAGE') THEN
    RETURN NEW;
  END IF;
  IF EXISTS (
    SELECT FROM waybill_log.log_head h WHERE h.log_id::text = NEW.log_id AND h.position < NEW.position
  ) THEN
    RAISE EXCEPTION 'the log ends before %', NEW.position USING ERRCODE = 'check_violation', CONSTRAINT = 'checkpoints_within_log';
  END IF;
  RETURN NEW;
END
$$;

REVOKE ALL ON FUNCTION waybill_read.hold_within_log FROM PUBLIC;

CREATE TRIGGER checkpoints_hold_within_log BEFORE INSERT OR UPDATE ON waybill_read.checkpoints
  FOR EACH ROW EXECUTE FUNCTION waybill_read.hold_within_log();
CREATE TRIGGER checkpoints_hold_within_log BEFORE INSERT OR UPDATE ON waybill_shadow.checkpoints
  FOR EACH ROW EXECUTE FUNCTION waybill_read.hold_within_log();
ALTER TABLE waybill_read.checkpoints ENABLE ALWAYS TRIGGER checkpoints_hold_within_log;
ALTER TABLE waybill_shadow.checkpoints ENABLE ALWAYS TRIGGER checkpoints_hold_within_log;

-- snapshots 0001_snapshots
-- Long operations as they were folded, so that they need not be read from their beginning. Derived from the log: what is
-- here may be deleted at any time, and is made again.

CREATE SCHEMA waybill_snapshots;

CREATE TABLE waybill_snapshots.snapshots (
  operation text COLLATE "C" NOT NULL,
  -- Whose positions and revisions these are.
  log_id uuid NOT NULL,
  -- Of the last event that was folded.
  revision bigint NOT NULL,
  content text NOT NULL,
  -- SHA-256 of the content.
  digest bytea NOT NULL,
  CONSTRAINT snapshots_pkey PRIMARY KEY (operation),
  CONSTRAINT snapshots_digest_length CHECK (octet_length(digest) = 32)
);

-- Mostly bits of a filter, which cannot be compressed.
ALTER TABLE waybill_snapshots.snapshots ALTER COLUMN content SET STORAGE EXTERNAL;

DO $$
BEGIN
  -- Without the role (a server where it could not be made) the service runs as the owner of these tables.
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'waybill_service') THEN
    GRANT USAGE ON SCHEMA waybill_snapshots TO waybill_service;
    GRANT SELECT, INSERT, UPDATE, DELETE ON waybill_snapshots.snapshots TO waybill_service;
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
('access', '1', '0001_keys', '19462118aef548b068a2275cefc9a04333c3624e6c485e6794b13f3df3daa6ee', 'true', '2026-12-01 13:00:18.984563+00'),
('access', '2', '0002_bindings', 'b9d25adbf94f3e90d84fa9665668f3a10f66e7b0c15d17f6bbfef0fff9fe3203', 'true', '2026-12-01 13:00:18.996284+00'),
('access', '3', '0003_validated_changes', '71fb35897086679fd281b6015155a81ddf97d46e85e0141c8562cdbfc51a2ee2', 'true', '2026-12-01 13:00:18.999264+00'),
('eventlog', '1', '0001_log', '2b1b55228ef61dd11c830b55e2a8af8365599a512e253f8cb4885db79853d6fa', 'true', '2026-12-01 13:00:18.878525+00'),
('eventlog', '2', '0002_append', '4b2e2ed20dca7ccb3860e07c44b2d33dbc42fb1ebcd73df6b663e6c6b2f87d91', 'true', '2026-12-01 13:00:18.888544+00'),
('eventlog', '3', '0003_service_role', '7f10650635acc5b68be8c9abd45361ec3b1f48a9815d96e7ac2505465fc30b5c', 'true', '2026-12-01 13:00:18.893642+00'),
('eventlog', '4', '0004_append_chains', '295ce164eeb32e0a16edaf7ea4b3792b0650b59992c60c70f3e9ac486c803eea', 'true', '2026-12-01 13:00:18.895183+00'),
('eventlog', '5', '0005_copying', 'a50fda89b6afdf16d187885d1105967ff28b4a70767325dd9f7caaf5388df98a', 'true', '2026-12-01 13:00:18.897782+00'),
('eventlog', '6', '0006_validated_appends', 'fe824e32c2bbd24dfbb4d36dbbb9504f4e59a9e78480b2e886ed3ad8a70906ce', 'true', '2026-12-01 13:00:18.900848+00'),
('projections', '1', '0001_read_model', '3edde007420c9cbb3d02e7aa0d1415b3341fb37d00020987f9a041d92c1abbb4', 'true', '2026-12-01 13:00:18.919283+00'),
('projections', '2', '0002_shadow', 'c09e4aea48dff4517e3086637926af9842734c2a96af0fe099960f433feeb9d1', 'true', '2026-12-01 13:00:18.93749+00'),
('projections', '3', '0003_control', '281d672a1c4c84ac172c22684c339c25b2af687fbace23674491787337ccd8bb', 'true', '2026-12-01 13:00:18.94307+00'),
('projections', '4', '0004_covering_key', '199a60539734b9e41fc7a06d79a815933f1b80c5887b36f6515a6578b165f39d', 'true', '2026-12-01 13:00:18.95098+00'),
('projections', '5', '0005_standings', '696928797a2525ddb4985dd30acbd7a34499807f4e2ff9ed8a3deb7f1cba7ac6', 'true', '2026-12-01 13:00:18.95403+00'),
('projections', '6', '0006_checkpoints_within_the_log', '7fb57b9b930f0eff22ecb85071ecf12e45e77306458323eabc57950160bc9086', 'true', '2026-12-01 13:00:18.96092+00'),
('snapshots', '1', '0001_snapshots', '6e954612c775c3ae08d798fc2a8572123f2b987ea0f094b07a590f5154809917', 'true', '2026-12-01 13:00:19.024325+00')
ON CONFLICT (room, number) DO UPDATE SET name = excluded.name, checksum = excluded.checksum, service_role = excluded.service_role, applied_at = excluded.applied_at;

-- All that the service's role may do here, whatever the migrations granted before. Run by the migrator.
GRANT USAGE ON SCHEMA waybill_access TO waybill_service;
GRANT SELECT ON waybill_access.changes, waybill_access.keys TO waybill_service;
GRANT EXECUTE ON FUNCTION waybill_access.create_key, waybill_access.revoke_key TO waybill_service;

-- Of nodes that know no functions yet. A trigger holds them to the same rules (migrations/0003_validated_changes.sql).
GRANT UPDATE (counter) ON waybill_access.changes TO waybill_service;
GRANT INSERT, UPDATE (revoked_at, revoked_by) ON waybill_access.keys TO waybill_service;
GRANT EXECUTE ON FUNCTION waybill_access.check_key, waybill_access.are_keys_full TO waybill_service;

-- All that the service's role may do here, whatever the migrations granted before. Run by the migrator.
GRANT USAGE ON SCHEMA waybill_log TO waybill_service;
GRANT SELECT ON waybill_log.log_head, waybill_log.streams, waybill_log.events TO waybill_service;
GRANT EXECUTE ON FUNCTION waybill_log.append, waybill_log.append_chains TO waybill_service;

-- A login that owns nothing finds out that there is nothing to migrate (docs/operations.md).
GRANT USAGE ON SCHEMA waybill TO waybill_service;
GRANT SELECT ON waybill.migrations TO waybill_service;

-- All that the service's role may do here, whatever the migrations granted before. Run by the migrator.
GRANT USAGE ON SCHEMA waybill_read, waybill_shadow TO waybill_service;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE
  ON waybill_read.checkpoints, waybill_read.shapes, waybill_read.operations, waybill_read.standings, waybill_read.parked,
  waybill_read.pipelines
  TO waybill_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON waybill_read.rebuilds TO waybill_service;
GRANT SELECT, UPDATE ON waybill_shadow.checkpoints TO waybill_service;

DO $$
DECLARE
  called regprocedure;
  made text;
BEGIN
  FOR called IN
    SELECT oid FROM pg_proc
    WHERE pronamespace = 'waybill_read'::regnamespace AND proname IN (
      'commit_batch', 'commit_revisiting_batch', 'commit_batch_v2', 'open_shadow', 'index_shadow', 'swap_shadow', 'drop_shadow'
    )
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO waybill_service', called);
  END LOOP;
  -- A rebuild that is under way made its tables with the grants of then.
  FOREACH made IN ARRAY waybill_read.rebuilt_tables() LOOP
    IF to_regclass(format('waybill_shadow.%I', made)) IS NOT NULL THEN
      EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON waybill_shadow.%I TO waybill_service', made);
    END IF;
  END LOOP;
END
$$;

-- All that the service's role may do here, whatever the migrations granted before. Run by the migrator.
GRANT USAGE ON SCHEMA waybill_snapshots TO waybill_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON waybill_snapshots.snapshots TO waybill_service;

INSERT INTO waybill_access.changes (only_row, counter) OVERRIDING SYSTEM VALUE VALUES
('true', '0')
ON CONFLICT (only_row) DO UPDATE SET counter = excluded.counter;

INSERT INTO waybill_log.events ("position", revision, stream_number, id, type, data, metadata) OVERRIDING SYSTEM VALUE VALUES
('1', '0', '1', '844e04d0-7680-8073-9147-f061021cc7b5', 'PipelineRegistered', '{"name":"linear","pipelines":1}', '{"command":"linear","requestHash":"-Fo1OYMrck0VhEAy-UWPNOCpuoSYrBeUIuSrbcqGJQE","actor":"anonymous","$correlationId":"linear","$causationId":"linear","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.204Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"7424499d618f258e4bf858ef1acc285d23e95a0d59d9e9cc604703a2a42ab932"}'),
('2', '0', '2', 'a76f6cbb-43d9-8d71-891e-fa62e4a8ff72', 'PipelineDefined', '{"version":1,"definition":{"outOfOrder":"advance","lateData":"fill","recordIgnored":true,"tracks":{"main":{"initial":"new","transitions":{"new":["read"],"read":["checked"],"checked":["done"]},"final":{"done":"succeeded"}}}}}', '{"command":"5d81106d-fe80-46bb-8ffa-9eed1c344118","requestHash":"ou3qrQgSEsDQZndi1gn2PO5X8ZYeaaoNCd3kz-QhFUY","actor":"anonymous","$correlationId":"linear","$causationId":"5d81106d-fe80-46bb-8ffa-9eed1c344118","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.213Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"2839a77c0873ee129969169e7735d2e7223389adc76c080e912f640698841efc"}'),
('3', '1', '1', '844e04d0-0092-8ba2-a0a0-5a3cb931bb2a', 'PipelineRegistered', '{"name":"patient","pipelines":2}', '{"command":"patient","requestHash":"kaUZOuD7JEqAWQZynoFItlza0UwJrQYqTzk6XghjcDQ","actor":"anonymous","$correlationId":"patient","$causationId":"patient","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.243Z","previousHash":"7424499d618f258e4bf858ef1acc285d23e95a0d59d9e9cc604703a2a42ab932","hash":"932d38602471f16f27197544ba69d6e0f4c0c5eafaada4dd6eedbc6d7947fc53"}'),
('4', '0', '3', 'c5a969b3-1f67-855e-8771-62b9e015244e', 'PipelineDefined', '{"version":1,"definition":{"outOfOrder":"hold","lateData":"fill","recordIgnored":true,"tracks":{"main":{"initial":"new","transitions":{"new":["read"],"read":["checked"],"checked":["done"]},"final":{"done":"succeeded"}}}}}', '{"command":"d3b86f30-bf1f-4e8b-a344-26b7836fed08","requestHash":"uyKeZyHU0ZGmxVo7YoBwMxiZrGI1UebnWMspqhK_c-A","actor":"anonymous","$correlationId":"patient","$causationId":"d3b86f30-bf1f-4e8b-a344-26b7836fed08","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.249Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"1a0a7cc89b0617b212fc2cdb055b97629b31cb7917d3aa648b6ce7355aef7a44"}'),
('5', '2', '1', '844e04d0-1eed-8353-b333-af7628b498a4', 'PipelineRegistered', '{"name":"parallel","pipelines":3}', '{"command":"parallel","requestHash":"jli6OhVXFiEfbm_EAS7n-lhIE19a3zJxJcbS3cgWYyo","actor":"anonymous","$correlationId":"parallel","$causationId":"parallel","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.283Z","previousHash":"932d38602471f16f27197544ba69d6e0f4c0c5eafaada4dd6eedbc6d7947fc53","hash":"70a2d0f821e4a158d4eaa6212c21e99d329b354cfdbc9fdabdfc82f557ea31b4"}'),
('6', '0', '4', '5ee0e8e5-16a5-8940-b248-39a7d026b1ef', 'PipelineDefined', '{"version":1,"definition":{"outOfOrder":"hold","lateData":"fill","recordIgnored":true,"tracks":{"main":{"initial":"new","transitions":{"new":["read"],"read":["checked","broken"],"checked":["done"]},"final":{"done":"succeeded","broken":"failed"},"requires":{"done":[{"track":"fraud","in":["passed"]}]}},"fraud":{"initial":"waiting","transitions":{"waiting":["passed","failed"]},"final":{"passed":"succeeded","failed":"failed"},"startsWhen":{"track":"main","in":["read"]}}}}}', '{"command":"f65f0d3b-d486-407f-8865-36cf4a377cc5","requestHash":"s2TbUcSAhlw1-SPzcPSz5fhjEzsYigdcIYHIKQp1iWc","actor":"anonymous","$correlationId":"parallel","$causationId":"f65f0d3b-d486-407f-8865-36cf4a377cc5","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.285Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"bb7cf5d698043aad7a151a88fba5c6c4819d73dc97de34abf4f22938d6854cc5"}'),
('7', '1', '2', 'a76f6cbb-3add-8b12-a5f6-a84128e5b7f2', 'PipelineDefined', '{"version":2,"definition":{"outOfOrder":"reject","lateData":"fill","recordIgnored":true,"tracks":{"main":{"initial":"new","transitions":{"new":["read"],"read":["checked"],"checked":["done"]},"final":{"done":"succeeded"}}}}}', '{"command":"62912be9-7174-422a-afc7-485bf605525b","requestHash":"GzhxK4JoL5fNUcXlIXlywJDAfmIGEWymQWkJI10za9U","actor":"anonymous","$correlationId":"linear","$causationId":"62912be9-7174-422a-afc7-485bf605525b","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.292Z","previousHash":"2839a77c0873ee129969169e7735d2e7223389adc76c080e912f640698841efc","hash":"5e4e3495edfb3270c05e41d801e5fffd149012311c9fce5b7be82144113c14ff"}'),
('8', '0', '5', '11b76f8e-b723-831e-ae04-27db9a293355', 'OperationOpened', '{"pipeline":{"name":"linear","version":1},"theme":"a theme","data":{"a":1},"metadata":{}}', '{"command":"fd25c434-3e2a-4e78-97f9-dd079ed3cd2d","requestHash":"aXf_2wCirqMq2cMCGsNjXF1aONM3_C9yFTfrximEekQ","actor":"anonymous","$correlationId":"opened-1","$causationId":"fd25c434-3e2a-4e78-97f9-dd079ed3cd2d","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.298Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"f30a55761862055f780a853bf1e4da738e11d3a8eb1fa7dcbc707a5a7a22c5c5"}'),
('9', '0', '6', 'e688ef77-0690-845a-9f5a-dc189d4d593f', 'OperationOpened', '{"pipeline":{"name":"any","version":1},"theme":null,"data":{},"metadata":{}}', '{"command":"key-0","requestHash":"pEKWXS2_EhkQ2cxsMda2mGuC8o7gWC2NFET3fKpPHes","actor":"anonymous","$correlationId":"any-1","$causationId":"key-0","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.306Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"b0cb2126cc8e0b5671c3b690bb17cf74420396d5fb66c284219d9848fd24f056"}'),
('10', '1', '6', 'e688ef77-3ade-8d55-b176-beeb8d50ede0', 'StatusChanged', E'{"track":"main","from":null,"to":"anything at all","service":"sample","data":{"text":"ä 🧾 \\"quoted\\""},"metadata":{"customer":"ACME","amount":12.5}}', '{"command":"key-0","requestHash":"pEKWXS2_EhkQ2cxsMda2mGuC8o7gWC2NFET3fKpPHes","actor":"anonymous","$correlationId":"any-1","$causationId":"key-0","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.306Z","previousHash":"b0cb2126cc8e0b5671c3b690bb17cf74420396d5fb66c284219d9848fd24f056","hash":"25a1ce5890369e5728dd97c13235a20349f7344575694935ae9e23d4c63610e4"}'),
('11', '2', '6', 'e688ef77-0f21-8a6a-a05f-618b4f8fa8a7', 'StatusChanged', '{"track":"main","from":"anything at all","to":"gone","service":"sample","final":"failed"}', '{"command":"key-1","requestHash":"NA0iVfegdxXiKDS1rGtqNBUYahgezQB0ldd8aM-lFRM","actor":"anonymous","$correlationId":"any-1","$causationId":"key-1","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.312Z","previousHash":"25a1ce5890369e5728dd97c13235a20349f7344575694935ae9e23d4c63610e4","hash":"627575d765f39a4c7131ffb1b12d15d8cead8bc838c8baa9051d8c32d462cbbf"}'),
('12', '0', '7', 'a241172e-3e6c-82f2-a45c-b42716c2fc8f', 'OperationOpened', '{"pipeline":{"name":"linear","version":1},"theme":null,"data":{},"metadata":{}}', '{"command":"key-2","requestHash":"m3f_GzUhPNF1QQ_G4VdZMV3G-52rqQYMyf6mfIhDVDE","actor":"anonymous","$correlationId":"linear-1","$causationId":"key-2","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.320Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"9aee52d4759154fc3431a49bc4255ecbb36afb99f32ca4d830e41f8e457d73e1"}'),
('13', '1', '7', 'a241172e-fbe1-860d-9f61-b04bff9322e2', 'StatusChanged', '{"track":"main","from":"new","to":"read","service":"sample","sequence":1,"data":{"pages":[1,2,3]}}', '{"command":"key-2","requestHash":"m3f_GzUhPNF1QQ_G4VdZMV3G-52rqQYMyf6mfIhDVDE","actor":"anonymous","$correlationId":"linear-1","$causationId":"key-2","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.320Z","previousHash":"9aee52d4759154fc3431a49bc4255ecbb36afb99f32ca4d830e41f8e457d73e1","hash":"89e7ca0d9a8dca530fce1201a46373b6c89be56ec8e89609312ffb067183a423"}'),
('14', '2', '7', 'a241172e-0bdc-86bf-9a28-d61c55d7f093', 'StatusChanged', '{"track":"main","from":"read","to":"done","service":"sample","sequence":4}', '{"command":"key-3","requestHash":"0PARil1neOYjAS62DHIcNZr3ki3Bxdw4BaUfH_MiPIM","actor":"anonymous","$correlationId":"linear-1","$causationId":"key-3","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.324Z","previousHash":"89e7ca0d9a8dca530fce1201a46373b6c89be56ec8e89609312ffb067183a423","hash":"06c4a8a226ae5f3671c94427022a3eeeb475297b9ab5cc22b87886a42bd102a1"}'),
('15', '3', '7', 'a241172e-5bb1-8912-89ac-467567c2d698', 'ReportIgnored', '{"track":"main","status":"checked","service":"sample","reason":"older_sequence","sequence":3,"data":{"late":true}}', '{"command":"key-4","requestHash":"Ak5mQk1E8e2R69MCteh4qFroaxZfUVXcjTXcGJetsn0","actor":"anonymous","$correlationId":"linear-1","$causationId":"key-4","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.330Z","previousHash":"06c4a8a226ae5f3671c94427022a3eeeb475297b9ab5cc22b87886a42bd102a1","hash":"db707326270f07bf8950a0adafdc79eccd7df3fc122fcc4430c93243a8f41632"}'),
('16', '0', '8', 'a141159b-67e3-802d-8606-d96344049732', 'OperationOpened', '{"pipeline":{"name":"linear","version":1},"theme":null,"data":{},"metadata":{}}', '{"command":"key-5","requestHash":"ng0scSzRth-p2cvgdRZvfvxuGfaasYQX3rPJt19QspE","actor":"anonymous","$correlationId":"linear-2","$causationId":"key-5","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.335Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"b194d3d21b68222e8484c95f285f1b2d7bc363412433db86a0228a3238ba17c4"}'),
('17', '1', '8', 'a141159b-c10f-8ec6-9f1a-fb5645840c0a', 'StatusChanged', '{"track":"main","from":"new","to":"read","service":"sample","observedAt":"2026-01-01T00:00:00.000Z"}', '{"command":"key-5","requestHash":"ng0scSzRth-p2cvgdRZvfvxuGfaasYQX3rPJt19QspE","actor":"anonymous","$correlationId":"linear-2","$causationId":"key-5","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.335Z","previousHash":"b194d3d21b68222e8484c95f285f1b2d7bc363412433db86a0228a3238ba17c4","hash":"f15f39a390dbf0fd9e7594cb2d0f80604fc34bdceabf09f222fec948dc4bad15"}'),
('18', '2', '8', 'a141159b-dcb0-822c-bbc6-186c806f1d3e', 'DataMerged', '{"track":"main","status":"read","service":"sample","metadata":{"again":true}}', '{"command":"key-6","requestHash":"WUO9BdY_U9ukjsY1dIVf49Rl4n4z0gpIqlpc7BCOgsU","actor":"anonymous","$correlationId":"linear-2","$causationId":"key-6","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.341Z","previousHash":"f15f39a390dbf0fd9e7594cb2d0f80604fc34bdceabf09f222fec948dc4bad15","hash":"6149dcbdb389a894f6ed71030d789d8ebe376de455024ca535a5697c3d85141c"}'),
('19', '0', '9', 'd3c9da74-eb34-8f14-81bf-99bfc2f53bb0', 'OperationOpened', '{"pipeline":{"name":"patient","version":1},"theme":null,"data":{},"metadata":{}}', '{"command":"key-7","requestHash":"NXTtLzs4zSWOb2Hb--e3REwoh3UcrxsDj8hjBalDmn0","actor":"anonymous","$correlationId":"patient-1","$causationId":"key-7","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.345Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"044744caa0205f0cb984623d266d40e9df2b2e1c0f839803243f376cd857641c"}'),
('20', '1', '9', 'd3c9da74-f205-886a-92e9-2f07f3ecd342', 'ReportHeld', '{"track":"main","status":"checked","service":"sample","reason":"predecessor_missing","data":{"early":1}}', '{"command":"key-7","requestHash":"NXTtLzs4zSWOb2Hb--e3REwoh3UcrxsDj8hjBalDmn0","actor":"anonymous","$correlationId":"patient-1","$causationId":"key-7","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.345Z","previousHash":"044744caa0205f0cb984623d266d40e9df2b2e1c0f839803243f376cd857641c","hash":"b225f859b28768f7c8323541295e307a56b2d8c9c17237c4ccf997e77a608853"}'),
('21', '0', '10', 'd6c9df2d-39ab-8585-834a-2e503a1b1e99', 'OperationOpened', '{"pipeline":{"name":"patient","version":1},"theme":null,"data":{},"metadata":{}}', '{"command":"key-8","requestHash":"_23wzAEFWZJPS_eKBClqWKe7TEONTiezwz32ggkhX6Y","actor":"anonymous","$correlationId":"patient-2","$causationId":"key-8","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.350Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"8659d84dd0f5e6c26ff14d4722b945e0c48dc678236a14b8e4da81e3ac40f989"}'),
('22', '1', '10', 'd6c9df2d-14b3-86b1-9eef-1d7ceca10574', 'ReportHeld', '{"track":"main","status":"checked","service":"sample","reason":"predecessor_missing"}', '{"command":"key-8","requestHash":"_23wzAEFWZJPS_eKBClqWKe7TEONTiezwz32ggkhX6Y","actor":"anonymous","$correlationId":"patient-2","$causationId":"key-8","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.350Z","previousHash":"8659d84dd0f5e6c26ff14d4722b945e0c48dc678236a14b8e4da81e3ac40f989","hash":"549c667267bcdd8b6f54d5293ebaca744c03ade4c4e21dd4404384319f4f6f5b"}'),
('23', '2', '10', 'd6c9df2d-2058-8332-a375-6b8b0e6aafb5', 'StatusChanged', '{"track":"main","from":"new","to":"read","service":"sample"}', '{"command":"key-9","requestHash":"CdYcwFGRZWDPIUDhZWpLRvqcRsfVMEoEmXbNZl1HJhc","actor":"anonymous","$correlationId":"patient-2","$causationId":"key-9","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.354Z","previousHash":"549c667267bcdd8b6f54d5293ebaca744c03ade4c4e21dd4404384319f4f6f5b","hash":"888e9116cc80f4426204bcda17a014d8e9dae463666a6bc0e8d3d408c80f9500"}'),
('24', '3', '10', 'd6c9df2d-8dc2-86c8-a6bf-9b3a981098b0', 'StatusChanged', '{"track":"main","from":"read","to":"checked","service":"sample"}', '{"command":"key-8","requestHash":"_23wzAEFWZJPS_eKBClqWKe7TEONTiezwz32ggkhX6Y","actor":"anonymous","$correlationId":"patient-2","$causationId":"key-9","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.354Z","previousHash":"888e9116cc80f4426204bcda17a014d8e9dae463666a6bc0e8d3d408c80f9500","hash":"b9efaee1994e1c9aefd3b23d2ebde2664d8d227b93c3d8ab555ef47b0c8b59d6"}'),
('25', '0', '11', 'fa023ff8-7fec-8d64-a47e-15fc5ef31901', 'OperationOpened', '{"pipeline":{"name":"parallel","version":1},"theme":null,"data":{},"metadata":{}}', '{"command":"key-10","requestHash":"xx30lIGRT-q_ToHEfNuy6TaN0e3Lg1gUFUuPC8zGlTw","actor":"anonymous","$correlationId":"parallel-1","$causationId":"key-10","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.361Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"641fdbb938ec3d8d8f3902e708846fcc1940d03c0e422e37376fa11f24be3ee9"}'),
('26', '1', '11', 'fa023ff8-89ec-8027-9957-c42bdf9a7a69', 'StatusChanged', '{"track":"main","from":"new","to":"read","service":"sample"}', '{"command":"key-10","requestHash":"xx30lIGRT-q_ToHEfNuy6TaN0e3Lg1gUFUuPC8zGlTw","actor":"anonymous","$correlationId":"parallel-1","$causationId":"key-10","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.361Z","previousHash":"641fdbb938ec3d8d8f3902e708846fcc1940d03c0e422e37376fa11f24be3ee9","hash":"3132bf3bb33cf0fe9b9740f87c33010f424c4786662c497a92e945bacfff3654"}'),
('27', '2', '11', 'fa023ff8-4f5a-845e-ae7b-1f3479da488b', 'StatusChanged', '{"track":"main","from":"read","to":"checked","service":"sample"}', '{"command":"key-11","requestHash":"zFG7YixZiprblSS43DmAWaTpWoX9E7lRyvH5z75ZotE","actor":"anonymous","$correlationId":"parallel-1","$causationId":"key-11","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.368Z","previousHash":"3132bf3bb33cf0fe9b9740f87c33010f424c4786662c497a92e945bacfff3654","hash":"b66b89ecde6ab266385eff6ecb709d59d8a078f4ecc6ee19fde8999152942127"}'),
('28', '3', '11', 'fa023ff8-8339-8881-a191-e7ba9572a416', 'ReportHeld', '{"track":"main","status":"done","service":"sample","reason":"requirement_unmet"}', '{"command":"key-12","requestHash":"Tvzz8hYonbZfeB7BHB-2Z_BvyrIs-AH9hwfUxc_Yv7A","actor":"anonymous","$correlationId":"parallel-1","$causationId":"key-12","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.374Z","previousHash":"b66b89ecde6ab266385eff6ecb709d59d8a078f4ecc6ee19fde8999152942127","hash":"15e48b3449aa54ec31c423506c16f75797d2b1fe574bc7f989b4b4617bf20da7"}'),
('29', '4', '11', 'fa023ff8-6e99-87e6-868c-b7fe91327f35', 'StatusChanged', '{"track":"fraud","from":"waiting","to":"passed","service":"sample"}', '{"command":"key-13","requestHash":"2a6apxbNnPRaLUEp0K1heHpwsq7KxY41ggRq0nyw1xA","actor":"anonymous","$correlationId":"parallel-1","$causationId":"key-13","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.379Z","previousHash":"15e48b3449aa54ec31c423506c16f75797d2b1fe574bc7f989b4b4617bf20da7","hash":"5c23066a7304a69793ca410b7a867b46dadcd4f76afd650ef588c7f7fb8ba413"}'),
('30', '5', '11', 'fa023ff8-73df-8d35-a36d-e27bd46089d7', 'StatusChanged', '{"track":"main","from":"checked","to":"done","service":"sample"}', '{"command":"key-12","requestHash":"Tvzz8hYonbZfeB7BHB-2Z_BvyrIs-AH9hwfUxc_Yv7A","actor":"anonymous","$correlationId":"parallel-1","$causationId":"key-13","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.379Z","previousHash":"5c23066a7304a69793ca410b7a867b46dadcd4f76afd650ef588c7f7fb8ba413","hash":"65b24c6386c9621d85897a7721ad5b4e66d451fdd7d944e737a6c5d62733be1c"}'),
('31', '0', '12', 'fd0244b1-c661-8f18-9aa7-a64113545c68', 'OperationOpened', '{"pipeline":{"name":"parallel","version":1},"theme":null,"data":{},"metadata":{}}', '{"command":"key-14","requestHash":"rakypcVGzaVCAil83i0us4DHmR6W1rh8VCVNrt8MkQU","actor":"anonymous","$correlationId":"parallel-2","$causationId":"key-14","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.384Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"4b06159e3726917f35a2fec4e11121addc57675e6b584ecc656daf511e7b4a51"}'),
('32', '1', '12', 'fd0244b1-ba83-83be-aadf-633aecfad92f', 'StatusChanged', '{"track":"main","from":"new","to":"read","service":"sample"}', '{"command":"key-14","requestHash":"rakypcVGzaVCAil83i0us4DHmR6W1rh8VCVNrt8MkQU","actor":"anonymous","$correlationId":"parallel-2","$causationId":"key-14","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.384Z","previousHash":"4b06159e3726917f35a2fec4e11121addc57675e6b584ecc656daf511e7b4a51","hash":"1f600903f0f6621310a47b85bf867472847e9dd8f65c98f7e78285b916fa5ba4"}'),
('33', '2', '12', 'fd0244b1-d5dd-8600-b9c6-d87188b3c19c', 'StatusChanged', '{"track":"main","from":"read","to":"broken","service":"sample"}', '{"command":"key-15","requestHash":"pXG9B3dEsXep3VFSXyVSSyfyfEmvT1kYFeYGZj2b20U","actor":"anonymous","$correlationId":"parallel-2","$causationId":"key-15","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.388Z","previousHash":"1f600903f0f6621310a47b85bf867472847e9dd8f65c98f7e78285b916fa5ba4","hash":"94e123a0d422c68f4e4b5b9e5c100be27166b87864e2cbaf71def115d0f5c260"}'),
('34', '0', '13', 'fc02431e-3fd3-8a94-803b-bb8c28c764f5', 'OperationOpened', '{"pipeline":{"name":"parallel","version":1},"theme":null,"data":{},"metadata":{}}', '{"command":"key-16","requestHash":"u8vu-x8vAHzoO00ceFbz6genPfflXxKPMtj6QSbNt64","actor":"anonymous","$correlationId":"parallel-3","$causationId":"key-16","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.396Z","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"1cc0f58d3b5f2f1af635aaf6f8c5de1c20f46286379b4fecca4ed14374a4e058"}'),
('35', '1', '13', 'fc02431e-286d-8a4b-ae6b-2236da68b29d', 'ReportHeld', '{"track":"main","status":"done","service":"sample","reason":"predecessor_missing"}', '{"command":"key-16","requestHash":"u8vu-x8vAHzoO00ceFbz6genPfflXxKPMtj6QSbNt64","actor":"anonymous","$correlationId":"parallel-3","$causationId":"key-16","schemaVersion":3,"recordedAt":"2026-12-01T13:00:19.396Z","previousHash":"1cc0f58d3b5f2f1af635aaf6f8c5de1c20f46286379b4fecca4ed14374a4e058","hash":"9053ffe3d2b5c102bb7db2fe5100a24027062949b8e042bbaee41d02b1db84c7"}');

INSERT INTO waybill_log.log_head (only_row, log_id, "position", stream_number, writer, written_to, turn, state, copied_from, imports) OVERRIDING SYSTEM VALUE VALUES
('true', 'a0889d47-a996-4a03-974a-3020a1d4110b', '35', '13', '-2302791861771383872', '35', '1', 'open', NULL, '0')
ON CONFLICT (only_row) DO UPDATE SET log_id = excluded.log_id, "position" = excluded."position", stream_number = excluded.stream_number, writer = excluded.writer, written_to = excluded.written_to, turn = excluded.turn, state = excluded.state, copied_from = excluded.copied_from, imports = excluded.imports;

INSERT INTO waybill_log.streams (number, name) OVERRIDING SYSTEM VALUE VALUES
('1', 'pipelines'),
('2', 'pipeline-linear'),
('3', 'pipeline-patient'),
('4', 'pipeline-parallel'),
('5', 'operation-opened-1'),
('6', 'operation-any-1'),
('7', 'operation-linear-1'),
('8', 'operation-linear-2'),
('9', 'operation-patient-1'),
('10', 'operation-patient-2'),
('11', 'operation-parallel-1'),
('12', 'operation-parallel-2'),
('13', 'operation-parallel-3');

INSERT INTO waybill_read.checkpoints (name, "position", epoch, log_id, fold_version, owner, owned_since, paused_at, paused_by) OVERRIDING SYSTEM VALUE VALUES
('operations', '35', '1', 'a0889d47-a996-4a03-974a-3020a1d4110b', '5', 'vm/21383', '2026-12-01 13:00:19.184376+00', NULL, NULL)
ON CONFLICT (name) DO UPDATE SET "position" = excluded."position", epoch = excluded.epoch, log_id = excluded.log_id, fold_version = excluded.fold_version, owner = excluded.owner, owned_since = excluded.owned_since, paused_at = excluded.paused_at, paused_by = excluded.paused_by;

INSERT INTO waybill_read.operations (id, shape, updated_at, opened_at, revision, "position", facets, state, data, metadata, revisited_at, since_at, heard_at) OVERRIDING SYSTEM VALUE VALUES
('any-1', '5257004943107479761', '1796130019312', '1796130019306', '2', '11', '{524610466,-1808970042}', '{"stateVersion":2,"pipeline":{"name":"any","version":1},"revision":"2","id":"any-1","theme":null,"state":"failed","tracks":{"main":{"phase":"final","status":"gone","since":"2026-12-01T13:00:19.312Z","by":"sample","observedAt":null,"heardAt":"2026-12-01T13:00:19.312Z","reached":[],"marks":{},"observedMarks":{},"observedMs":null,"outcome":"failed"}},"held":[],"data":{},"metadata":{},"deleted":{"data":{},"metadata":{}},"dataBytesMax":228,"metadataBytesMax":228,"lastHash":"627575d765f39a4c7131ffb1b12d15d8cead8bc838c8baa9051d8c32d462cbbf","openedAt":"2026-12-01T13:00:19.306Z","updatedAt":"2026-12-01T13:00:19.312Z","changedRevision":2,"openedBy":"key-0","undescribed":true}', E'{"text":"ä 🧾 \\"quoted\\""}', '{"customer":"ACME","amount":12.5}', NULL, '1796130019312', '1796130019312'),
('linear-1', '4586626648820388372', '1796130019330', '1796130019320', '3', '15', NULL, '{"stateVersion":2,"pipeline":{"name":"linear","version":1},"revision":"3","id":"linear-1","theme":null,"state":"succeeded","tracks":{"main":{"phase":"final","status":"done","since":"2026-12-01T13:00:19.324Z","by":"sample","observedAt":null,"heardAt":"2026-12-01T13:00:19.330Z","reached":["new","read","checked","done"],"marks":{"sample":4},"observedMarks":{},"observedMs":null,"outcome":"succeeded"}},"held":[],"data":{},"metadata":{},"deleted":{"data":{},"metadata":{}},"dataBytesMax":291,"metadataBytesMax":79,"lastHash":"db707326270f07bf8950a0adafdc79eccd7df3fc122fcc4430c93243a8f41632","openedAt":"2026-12-01T13:00:19.320Z","updatedAt":"2026-12-01T13:00:19.330Z","changedRevision":3,"openedBy":"key-2","undescribed":true}', '{"pages":[1,2,3],"late":true}', '{}', NULL, '1796130019324', '1796130019330'),
('linear-2', '7210187700585585730', '1796130019341', '1796130019335', '2', '18', '{1283915212}', '{"stateVersion":2,"pipeline":{"name":"linear","version":1},"revision":"2","id":"linear-2","theme":null,"state":"active","tracks":{"main":{"phase":"active","status":"read","since":"2026-12-01T13:00:19.335Z","by":"sample","observedAt":"2026-01-01T00:00:00.000Z","heardAt":"2026-12-01T13:00:19.341Z","reached":["new","read"],"marks":{},"observedMarks":{},"observedMs":null,"outcome":null}},"held":[],"data":{},"metadata":{},"deleted":{"data":{},"metadata":{}},"dataBytesMax":79,"metadataBytesMax":156,"lastHash":"6149dcbdb389a894f6ed71030d789d8ebe376de455024ca535a5697c3d85141c","openedAt":"2026-12-01T13:00:19.335Z","updatedAt":"2026-12-01T13:00:19.341Z","changedRevision":2,"openedBy":"key-5","undescribed":true}', '{}', '{"again":true}', NULL, '1796130019335', '1796130019341'),
('opened-1', '-2108728968677773879', '1796130019298', '1796130019298', '0', '8', '{1566088667}', '{"stateVersion":2,"pipeline":{"name":"linear","version":1},"revision":"0","id":"opened-1","theme":"a theme","state":"active","tracks":{"main":{"phase":"active","status":"new","since":"2026-12-01T13:00:19.298Z","by":null,"observedAt":null,"heardAt":null,"reached":["new"],"marks":{},"observedMarks":{},"observedMs":null,"outcome":null}},"held":[],"data":{},"metadata":{},"deleted":{"data":{},"metadata":{}},"dataBytesMax":89,"metadataBytesMax":89,"lastHash":"f30a55761862055f780a853bf1e4da738e11d3a8eb1fa7dcbc707a5a7a22c5c5","openedAt":"2026-12-01T13:00:19.298Z","updatedAt":"2026-12-01T13:00:19.298Z","changedRevision":0,"openedBy":"fd25c434-3e2a-4e78-97f9-dd079ed3cd2d","undescribed":false}', '{"a":1}', '{}', NULL, '1796130019298', NULL),
('parallel-1', '7465910040978148277', '1796130019379', '1796130019361', '5', '30', NULL, '{"stateVersion":2,"pipeline":{"name":"parallel","version":1},"revision":"5","id":"parallel-1","theme":null,"state":"succeeded","tracks":{"main":{"phase":"final","status":"done","since":"2026-12-01T13:00:19.379Z","by":"sample","observedAt":null,"heardAt":"2026-12-01T13:00:19.379Z","reached":["new","read","checked","done"],"marks":{},"observedMarks":{},"observedMs":null,"outcome":"succeeded"},"fraud":{"phase":"final","status":"passed","since":"2026-12-01T13:00:19.379Z","by":"sample","observedAt":null,"heardAt":"2026-12-01T13:00:19.379Z","reached":["waiting","passed"],"marks":{},"observedMarks":{},"observedMs":null,"outcome":"succeeded"}},"held":[],"data":{},"metadata":{},"deleted":{"data":{},"metadata":{}},"dataBytesMax":81,"metadataBytesMax":81,"lastHash":"65b24c6386c9621d85897a7721ad5b4e66d451fdd7d944e737a6c5d62733be1c","openedAt":"2026-12-01T13:00:19.361Z","updatedAt":"2026-12-01T13:00:19.379Z","changedRevision":5,"openedBy":"key-10","undescribed":true}', '{}', '{}', NULL, '1796130019379', '1796130019379'),
('parallel-2', '568063662439161911', '1796130019388', '1796130019384', '2', '33', NULL, '{"stateVersion":2,"pipeline":{"name":"parallel","version":1},"revision":"2","id":"parallel-2","theme":null,"state":"active","tracks":{"main":{"phase":"final","status":"broken","since":"2026-12-01T13:00:19.388Z","by":"sample","observedAt":null,"heardAt":"2026-12-01T13:00:19.388Z","reached":["new","read","broken"],"marks":{},"observedMarks":{},"observedMs":null,"outcome":"failed"},"fraud":{"phase":"active","status":"waiting","since":"2026-12-01T13:00:19.384Z","by":null,"observedAt":null,"heardAt":null,"reached":["waiting"],"marks":{},"observedMarks":{},"observedMs":null,"outcome":null}},"held":[],"data":{},"metadata":{},"deleted":{"data":{},"metadata":{}},"dataBytesMax":81,"metadataBytesMax":81,"lastHash":"94e123a0d422c68f4e4b5b9e5c100be27166b87864e2cbaf71def115d0f5c260","openedAt":"2026-12-01T13:00:19.384Z","updatedAt":"2026-12-01T13:00:19.388Z","changedRevision":2,"openedBy":"key-14","undescribed":true}', '{}', '{}', NULL, '1796130019388', '1796130019388'),
('parallel-3', '-4255607595239103399', '1796130019396', '1796130019396', '1', '35', NULL, '{"stateVersion":2,"pipeline":{"name":"parallel","version":1},"revision":"1","id":"parallel-3","theme":null,"state":"active","tracks":{"main":{"phase":"active","status":"new","since":"2026-12-01T13:00:19.396Z","by":null,"observedAt":null,"heardAt":"2026-12-01T13:00:19.396Z","reached":["new"],"marks":{},"observedMarks":{},"observedMs":null,"outcome":null},"fraud":{"phase":"waiting","status":null,"since":null,"by":null,"observedAt":null,"heardAt":null,"reached":[],"marks":{},"observedMarks":{},"observedMs":null,"outcome":null}},"held":[{"key":"key-16","requestHash":"u8vu-x8vAHzoO00ceFbz6genPfflXxKPMtj6QSbNt64","actor":"anonymous","keyEvents":2,"bytes":82,"status":"done","reason":"predecessor_missing","heldAt":"2026-12-01T13:00:19.396Z","facts":{"track":"main","service":"sample"}}],"data":{},"metadata":{},"deleted":{"data":{},"metadata":{}},"dataBytesMax":81,"metadataBytesMax":81,"lastHash":"9053ffe3d2b5c102bb7db2fe5100a24027062949b8e042bbaee41d02b1db84c7","openedAt":"2026-12-01T13:00:19.396Z","updatedAt":"2026-12-01T13:00:19.396Z","changedRevision":1,"openedBy":"key-16","undescribed":true}', '{}', '{}', NULL, '1796130019396', '1796130019396'),
('patient-1', '-8695361901183261607', '1796130019345', '1796130019345', '1', '20', NULL, '{"stateVersion":2,"pipeline":{"name":"patient","version":1},"revision":"1","id":"patient-1","theme":null,"state":"active","tracks":{"main":{"phase":"active","status":"new","since":"2026-12-01T13:00:19.345Z","by":null,"observedAt":null,"heardAt":"2026-12-01T13:00:19.345Z","reached":["new"],"marks":{},"observedMarks":{},"observedMs":null,"outcome":null}},"held":[{"key":"key-7","requestHash":"NXTtLzs4zSWOb2Hb--e3REwoh3UcrxsDj8hjBalDmn0","actor":"anonymous","keyEvents":2,"bytes":104,"status":"checked","reason":"predecessor_missing","heldAt":"2026-12-01T13:00:19.345Z","facts":{"track":"main","service":"sample","data":{"early":1}}}],"data":{},"metadata":{},"deleted":{"data":{},"metadata":{}},"dataBytesMax":80,"metadataBytesMax":80,"lastHash":"b225f859b28768f7c8323541295e307a56b2d8c9c17237c4ccf997e77a608853","openedAt":"2026-12-01T13:00:19.345Z","updatedAt":"2026-12-01T13:00:19.345Z","changedRevision":1,"openedBy":"key-7","undescribed":true}', '{}', '{}', NULL, '1796130019345', '1796130019345'),
('patient-2', '-4187472565557062835', '1796130019354', '1796130019350', '3', '24', NULL, '{"stateVersion":2,"pipeline":{"name":"patient","version":1},"revision":"3","id":"patient-2","theme":null,"state":"active","tracks":{"main":{"phase":"active","status":"checked","since":"2026-12-01T13:00:19.354Z","by":"sample","observedAt":null,"heardAt":"2026-12-01T13:00:19.354Z","reached":["new","read","checked"],"marks":{},"observedMarks":{},"observedMs":null,"outcome":null}},"held":[],"data":{},"metadata":{},"deleted":{"data":{},"metadata":{}},"dataBytesMax":80,"metadataBytesMax":80,"lastHash":"b9efaee1994e1c9aefd3b23d2ebde2664d8d227b93c3d8ab555ef47b0c8b59d6","openedAt":"2026-12-01T13:00:19.350Z","updatedAt":"2026-12-01T13:00:19.354Z","changedRevision":3,"openedBy":"key-8","undescribed":true}', '{}', '{}', NULL, '1796130019354', '1796130019354')
ON CONFLICT (id) DO UPDATE SET shape = excluded.shape, updated_at = excluded.updated_at, opened_at = excluded.opened_at, revision = excluded.revision, "position" = excluded."position", facets = excluded.facets, state = excluded.state, data = excluded.data, metadata = excluded.metadata, revisited_at = excluded.revisited_at, since_at = excluded.since_at, heard_at = excluded.heard_at;

INSERT INTO waybill_read.pipelines (name, version, definition, defined_at) OVERRIDING SYSTEM VALUE VALUES
('linear', '1', '{"outOfOrder":"advance","lateData":"fill","recordIgnored":true,"tracks":{"main":{"initial":"new","transitions":{"new":["read"],"read":["checked"],"checked":["done"]},"final":{"done":"succeeded"}}}}', '2026-12-01T13:00:19.213Z'),
('linear', '2', '{"outOfOrder":"reject","lateData":"fill","recordIgnored":true,"tracks":{"main":{"initial":"new","transitions":{"new":["read"],"read":["checked"],"checked":["done"]},"final":{"done":"succeeded"}}}}', '2026-12-01T13:00:19.292Z'),
('parallel', '1', '{"outOfOrder":"hold","lateData":"fill","recordIgnored":true,"tracks":{"main":{"initial":"new","transitions":{"new":["read"],"read":["checked","broken"],"checked":["done"]},"final":{"done":"succeeded","broken":"failed"},"requires":{"done":[{"track":"fraud","in":["passed"]}]}},"fraud":{"initial":"waiting","transitions":{"waiting":["passed","failed"]},"final":{"passed":"succeeded","failed":"failed"},"startsWhen":{"track":"main","in":["read"]}}}}', '2026-12-01T13:00:19.285Z'),
('patient', '1', '{"outOfOrder":"hold","lateData":"fill","recordIgnored":true,"tracks":{"main":{"initial":"new","transitions":{"new":["read"],"read":["checked"],"checked":["done"]},"final":{"done":"succeeded"}}}}', '2026-12-01T13:00:19.249Z')
ON CONFLICT (name, version) DO UPDATE SET definition = excluded.definition, defined_at = excluded.defined_at;

INSERT INTO waybill_read.shapes (id, pipeline, state, tracks, operations, blocked, held, failed, since, heard, changed_tracks, standings) OVERRIDING SYSTEM VALUE VALUES
('-8695361901183261607', 'patient', 'active', '{"main": "new"}', '1', 'false', 'true', 'false', 'last', 'last', '{}', '{}'),
('-7015373061719574460', 'any', 'active', '{"main": "anything at all"}', '0', 'false', 'false', 'false', 'last', 'last', '{}', '{}'),
('-4952954600210484889', 'parallel', 'active', '{"main": "read", "fraud": "waiting"}', '0', 'false', 'false', 'false', 'last', 'last', '{fraud}', '{"fraud": -94137975182708132}'),
('-4255607595239103399', 'parallel', 'active', '{"main": "new", "fraud": null}', '1', 'false', 'true', 'false', 'last', 'last', '{}', '{}'),
('-4187472565557062835', 'patient', 'active', '{"main": "checked"}', '1', 'false', 'false', 'false', 'last', 'last', '{}', '{}'),
('-2108728968677773879', 'linear', 'active', '{"main": "new"}', '1', 'false', 'false', 'false', 'last', 'none', '{}', '{}'),
('568063662439161911', 'parallel', 'active', '{"main": "broken", "fraud": "waiting"}', '1', 'false', 'false', 'true', 'last', 'last', '{}', '{"fraud": -94137975182708132}'),
('1973764228153928308', 'linear', 'active', '{"main": "read"}', '0', 'false', 'false', 'false', 'last', 'last', '{}', '{}'),
('2155143753752105572', 'parallel', 'active', '{"main": "checked", "fraud": "waiting"}', '0', 'false', 'true', 'false', 'earlier', 'last', '{}', '{"fraud": -94137975182708132}'),
('2246714232824614962', 'any', 'active', '{"main": "gone"}', '0', 'false', 'false', 'false', 'last', 'last', '{}', '{}'),
('4586626648820388372', 'linear', 'succeeded', '{"main": "done"}', '1', 'false', 'false', 'false', 'earlier', 'last', '{}', '{}'),
('5257004943107479761', 'any', 'failed', '{"main": "gone"}', '1', 'false', 'false', 'true', 'last', 'last', '{}', '{}'),
('7210187700585585730', 'linear', 'active', '{"main": "read"}', '1', 'false', 'false', 'false', 'earlier', 'last', '{}', '{}'),
('7465910040978148277', 'parallel', 'succeeded', '{"main": "done", "fraud": "passed"}', '1', 'false', 'false', 'false', 'last', 'last', '{fraud}', '{"fraud": 3509005282461291438}')
ON CONFLICT (id) DO UPDATE SET pipeline = excluded.pipeline, state = excluded.state, tracks = excluded.tracks, operations = excluded.operations, blocked = excluded.blocked, held = excluded.held, failed = excluded.failed, since = excluded.since, heard = excluded.heard, changed_tracks = excluded.changed_tracks, standings = excluded.standings;

INSERT INTO waybill_read.standings (id, track, standing, since_at) OVERRIDING SYSTEM VALUE VALUES
('parallel-1', 'fraud', '3509005282461291438', '1796130019379'),
('parallel-2', 'fraud', '-94137975182708132', '1796130019384')
ON CONFLICT (id, track) DO UPDATE SET standing = excluded.standing, since_at = excluded.since_at;

INSERT INTO waybill_shadow.checkpoints (name, "position", epoch, log_id, fold_version, migrations) OVERRIDING SYSTEM VALUE VALUES
('operations', '0', '0', NULL, NULL, NULL)
ON CONFLICT (name) DO UPDATE SET "position" = excluded."position", epoch = excluded.epoch, log_id = excluded.log_id, fold_version = excluded.fold_version, migrations = excluded.migrations;
