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
