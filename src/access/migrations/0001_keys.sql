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
