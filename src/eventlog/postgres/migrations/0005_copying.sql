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
