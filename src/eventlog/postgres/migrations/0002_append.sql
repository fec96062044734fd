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
