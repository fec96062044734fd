-- All that the service's role may do here, whatever the migrations granted before. Run by the migrator.
GRANT USAGE ON SCHEMA waybill_log TO waybill_service;
GRANT SELECT ON waybill_log.log_head, waybill_log.streams, waybill_log.events TO waybill_service;
GRANT EXECUTE ON FUNCTION waybill_log.append, waybill_log.append_chains TO waybill_service;

-- A login that owns nothing finds out that there is nothing to migrate (docs/operations.md).
GRANT USAGE ON SCHEMA waybill TO waybill_service;
GRANT SELECT ON waybill.migrations TO waybill_service;
