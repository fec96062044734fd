-- What the service's sessions may do: read the log, and append to it through append(), which runs with its owner's rights.
-- The role is made by the migrator where it may; where it may not, the service runs as the database user itself.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'waybill_service') THEN
    GRANT USAGE ON SCHEMA waybill_log TO waybill_service;
    GRANT SELECT ON waybill_log.log_head, waybill_log.streams, waybill_log.events TO waybill_service;
    GRANT EXECUTE ON FUNCTION waybill_log.append TO waybill_service;
  END IF;
END
$$;
