-- A checkpoint beyond the end of the log means that events are lost, and nodes then refuse to serve. Nobody but the owner, who
-- restores, can bring that about by writing one. A log in another store has another id, and no head here to compare with.

CREATE FUNCTION waybill_read.hold_within_log() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF pg_has_role(current_user, (SELECT c.relowner FROM pg_class c WHERE c.oid = TG_RELID), 'USAGE') THEN
    RETURN NEW;
  END IF;
  IF EXISTS (
    SELECT FROM waybill_log.log_head h WHERE h.log_id::text = NEW.log_id AND h.position < NEW.position
  ) THEN
    RAISE EXCEPTION 'the log ends before %', NEW.position USING ERRCODE = 'check_violation', CONSTRAINT = 'checkpoints_within_log';
  END IF;
  RETURN NEW;
END
$$;

REVOKE ALL ON FUNCTION waybill_read.hold_within_log FROM PUBLIC;

CREATE TRIGGER checkpoints_hold_within_log BEFORE INSERT OR UPDATE ON waybill_read.checkpoints
  FOR EACH ROW EXECUTE FUNCTION waybill_read.hold_within_log();
CREATE TRIGGER checkpoints_hold_within_log BEFORE INSERT OR UPDATE ON waybill_shadow.checkpoints
  FOR EACH ROW EXECUTE FUNCTION waybill_read.hold_within_log();
ALTER TABLE waybill_read.checkpoints ENABLE ALWAYS TRIGGER checkpoints_hold_within_log;
ALTER TABLE waybill_shadow.checkpoints ENABLE ALWAYS TRIGGER checkpoints_hold_within_log;
