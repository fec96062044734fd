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
