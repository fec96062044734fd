-- Appends the chains of one batch (docs/adr/0003-chains.md): all events of a chain, or none when its stream does not stand
-- where the chain's first link expects it. One call in autocommit is one round trip and one commit, and no client can hold
-- the head's lock by dying in the middle.
--
-- Chains come as parallel arrays in one order: names, joined by U+001E (JSON text and names never hold it); the last
-- revision each expects, -1 for no stream; its number of events, 0 for a mere check. Events come in order of their chains:
-- the chain (from 1), the place in it (from 1), id, type, data, metadata. Joined text, because splitting it here costs a
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
  bases bigint[];
  event_count bigint;
  new_streams integer;
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

  -- For each chain: its stream's number (0: it conflicts and takes no part; -1: it found no stream, as expected, and has no
  -- events) and where its positions begin.
  WITH chains AS (
    SELECT c.ord, c.expected, c.events, s.number, coalesce(l.revision, -1) AS revision
    FROM unnest(names, chain_expected, chain_events) WITH ORDINALITY AS c (name, expected, events, ord)
    LEFT JOIN streams s ON s.name = c.name
    LEFT JOIN LATERAL (
      SELECT e.revision FROM events e WHERE e.stream_number = s.number ORDER BY e.revision DESC LIMIT 1
    ) l ON true
  ), judged AS (
    SELECT *, revision = expected AS accepted,
      sum(CASE WHEN revision = expected THEN events ELSE 0 END) OVER (ORDER BY ord) AS events_up_to,
      sum(CASE WHEN revision = expected AND number IS NULL AND events > 0 THEN 1 ELSE 0 END) OVER (ORDER BY ord) AS new_up_to
    FROM chains
  )
  SELECT
    array_agg(CASE
      WHEN NOT accepted THEN 0
      WHEN number IS NOT NULL THEN number
      WHEN events > 0 THEN last_stream + new_up_to
      ELSE -1
    END ORDER BY ord),
    array_agg(head_before + events_up_to - events ORDER BY ord),
    max(events_up_to),
    max(new_up_to),
    coalesce(string_agg(ord || ':' || revision, E'\n' ORDER BY ord) FILTER (WHERE NOT accepted), '')
  INTO numbers, bases, event_count, new_streams, conflicts
  FROM judged;

  IF event_count = 0 THEN
    RETURN;
  END IF;

  IF new_streams > 0 THEN
    INSERT INTO streams (number, name)
    SELECT c.number, c.name FROM unnest(numbers, names) AS c (number, name) WHERE c.number > last_stream;
  END IF;

  INSERT INTO events (position, revision, stream_number, id, type, data, metadata)
  SELECT bases[e.chain] + e.place, chain_expected[e.chain] + e.place, numbers[e.chain], e.id, e.type, e.data::json, e.metadata::json
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
