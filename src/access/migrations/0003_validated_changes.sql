-- Keys are made and revoked by functions that hold to the rules, whoever calls them. The service's role has had rights to write
-- to the tables itself, which nodes of the version before still use: until a later migration takes them away, a trigger holds
-- those writes to the same rules. Neither binds the owner, who restores.

-- Raises check_violation unless a key may be so. What its constraints say already is not said again.
CREATE FUNCTION waybill_access.check_key(checked waybill_access.keys) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF (
    checked.id ~ '^[0-9a-f]{16}$'
    AND checked.name ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$' AND checked.name NOT IN ('anonymous', 'operator')
    AND checked.created_by ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$'
    AND checked.revoked_at IS NULL AND checked.revoked_by IS NULL
    AND array_ndims(checked.roles) = 1
    AND coalesce(array_ndims(checked.services), 1) = 1 AND coalesce(array_ndims(checked.pipelines), 1) = 1
    AND NOT EXISTS (SELECT FROM unnest(checked.roles) AS r (role) GROUP BY r.role HAVING r.role IS NULL OR count(*) > 1)
    AND NOT EXISTS (
      SELECT FROM unnest(checked.services) AS s (service) GROUP BY s.service
      HAVING s.service IS NULL OR count(*) > 1 OR char_length(s.service) NOT BETWEEN 1 AND 128
        OR s.service ~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]'
    )
    AND NOT EXISTS (
      SELECT FROM unnest(checked.pipelines) AS p (pipeline) GROUP BY p.pipeline
      HAVING p.pipeline IS NULL OR count(*) > 1 OR p.pipeline !~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$'
    )
  ) IS NOT TRUE THEN
    RAISE EXCEPTION 'no key may be so' USING ERRCODE = 'check_violation', CONSTRAINT = 'keys_checked';
  END IF;
END
$$;

-- Nodes keep all keys in memory.
CREATE FUNCTION waybill_access.are_keys_full() RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN (SELECT count(*) >= 10000 FROM waybill_access.keys WHERE revoked_at IS NULL); END $$;

-- Waits for the changes that are under way. Whether the caller may still make one: a node may not have heard yet that its
-- caller's key is revoked, or that there is a key by now. `caller`: the name that goes on record, null when it may not.
CREATE FUNCTION waybill_access.begin_change(origin text, caller_key_id text, OUT caller text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  counted bigint;
BEGIN
  SELECT c.counter INTO STRICT counted FROM waybill_access.changes c FOR UPDATE;
  caller := CASE origin
    WHEN 'configuration' THEN 'operator'
    WHEN 'nobody' THEN CASE WHEN counted = 0 THEN 'anonymous' END
    WHEN 'database' THEN (
      SELECT k.name FROM waybill_access.keys k
      WHERE k.id = caller_key_id AND k.revoked_at IS NULL AND 'operator' = ANY (k.roles)
    )
  END;
END
$$;

-- Makes a key, unless `refusal` says why not. The caller commits.
CREATE FUNCTION waybill_access.create_key(
  key_id text,
  key_name text,
  key_roles text[],
  key_services text[],
  key_pipelines text[],
  key_digest bytea,
  origin text,
  caller_key_id text,
  OUT refusal text,
  OUT created_at timestamptz,
  OUT created_by text
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  made waybill_access.keys;
BEGIN
  created_by := waybill_access.begin_change(origin, caller_key_id);
  refusal := CASE
    WHEN created_by IS NULL THEN 'caller_unknown'
    WHEN origin = 'nobody' AND NOT 'operator' = ANY (key_roles) THEN 'operator_needed'
    WHEN EXISTS (SELECT FROM waybill_access.keys k WHERE k.name = key_name AND k.revoked_at IS NULL) THEN 'name_taken'
    WHEN waybill_access.are_keys_full() THEN 'full'
  END;
  IF refusal IS NOT NULL THEN
    RETURN;
  END IF;
  made.id := key_id;
  made.name := key_name;
  made.roles := key_roles;
  made.services := key_services;
  made.pipelines := key_pipelines;
  made.digest := key_digest;
  made.definer_stated := true;
  made.created_at := now();
  made.created_by := created_by;
  PERFORM waybill_access.check_key(made);
  INSERT INTO waybill_access.keys (id, name, roles, services, pipelines, digest, definer_stated, created_at, created_by)
  VALUES (
    made.id, made.name, made.roles, made.services, made.pipelines, made.digest, made.definer_stated, made.created_at,
    made.created_by
  );
  UPDATE waybill_access.changes SET counter = counter + 1;
  created_at := made.created_at;
END
$$;

-- Revokes the key of that name. `refusal` is null when it did; no `key_id`: there is none in force. The caller commits.
CREATE FUNCTION waybill_access.revoke_key(
  key_name text, origin text, caller_key_id text, OUT refusal text, OUT key_id text
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  caller CONSTANT text := waybill_access.begin_change(origin, caller_key_id);
  is_operator boolean;
BEGIN
  IF caller IS NULL THEN
    refusal := 'caller_unknown';
    RETURN;
  END IF;
  SELECT k.id, 'operator' = ANY (k.roles) INTO key_id, is_operator
  FROM waybill_access.keys k WHERE k.name = key_name AND k.revoked_at IS NULL;
  -- Nobody could manage keys any more.
  IF is_operator AND origin <> 'configuration' AND NOT EXISTS (
    SELECT FROM waybill_access.keys k WHERE k.revoked_at IS NULL AND 'operator' = ANY (k.roles) AND k.id <> key_id
  ) THEN
    refusal := 'operator_needed';
  ELSIF key_id IS NOT NULL THEN
    UPDATE waybill_access.keys k SET revoked_at = now(), revoked_by = caller WHERE k.id = key_id;
    UPDATE waybill_access.changes SET counter = counter + 1;
  END IF;
END
$$;

-- Not with its owner's rights: it must know whose they are.
CREATE FUNCTION waybill_access.hold_to_rules() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  revoker text;
BEGIN
  IF pg_has_role(current_user, (SELECT c.relowner FROM pg_class c WHERE c.oid = TG_RELID), 'USAGE') THEN
    RETURN NEW;
  END IF;
  IF TG_TABLE_NAME = 'changes' THEN
    IF NEW.counter <> OLD.counter + 1 THEN
      RAISE EXCEPTION 'changes are counted one by one' USING ERRCODE = 'check_violation', CONSTRAINT = 'changes_counted';
    END IF;
    RETURN NEW;
  END IF;
  -- Nodes hear of every change, also from a writer who does not count it. Its lock comes before the look at how many there are.
  UPDATE waybill_access.changes SET counter = counter + 1;
  IF TG_OP = 'INSERT' THEN
    PERFORM waybill_access.check_key(NEW);
    IF waybill_access.are_keys_full() THEN
      RAISE EXCEPTION 'there are too many keys' USING ERRCODE = 'check_violation', CONSTRAINT = 'keys_counted';
    END IF;
    NEW.created_at := now();
    RETURN NEW;
  END IF;
  revoker := NEW.revoked_by;
  NEW := OLD;
  NEW.revoked_at := now();
  NEW.revoked_by := revoker;
  IF OLD.revoked_at IS NOT NULL OR (revoker ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$') IS NOT TRUE THEN
    RAISE EXCEPTION 'a key can be revoked, once' USING ERRCODE = 'check_violation', CONSTRAINT = 'keys_revoked_once';
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER keys_hold_to_rules BEFORE INSERT OR UPDATE ON waybill_access.keys
  FOR EACH ROW EXECUTE FUNCTION waybill_access.hold_to_rules();
CREATE TRIGGER changes_hold_to_rules BEFORE UPDATE ON waybill_access.changes
  FOR EACH ROW EXECUTE FUNCTION waybill_access.hold_to_rules();
ALTER TABLE waybill_access.keys ENABLE ALWAYS TRIGGER keys_hold_to_rules;
ALTER TABLE waybill_access.changes ENABLE ALWAYS TRIGGER changes_hold_to_rules;

REVOKE ALL ON FUNCTION
  waybill_access.check_key, waybill_access.are_keys_full, waybill_access.begin_change, waybill_access.create_key,
  waybill_access.revoke_key, waybill_access.hold_to_rules
FROM PUBLIC;
