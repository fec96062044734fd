-- All that the service's role may do here, whatever the migrations granted before. Run by the migrator.
GRANT USAGE ON SCHEMA waybill_log TO waybill_service;
GRANT SELECT ON waybill_log.log_head, waybill_log.streams, waybill_log.events TO waybill_service;
GRANT EXECUTE ON FUNCTION waybill_log.append, waybill_log.append_chains TO waybill_service;
