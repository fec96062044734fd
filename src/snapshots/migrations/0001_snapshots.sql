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
