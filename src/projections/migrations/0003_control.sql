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
