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
