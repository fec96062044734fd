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
