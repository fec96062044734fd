-- All that the service's role may do here, whatever the migrations granted before. Run by the migrator.
GRANT USAGE ON SCHEMA waybill_access TO waybill_service;
GRANT SELECT, UPDATE (counter) ON waybill_access.changes TO waybill_service;
GRANT SELECT, INSERT, UPDATE (revoked_at, revoked_by) ON waybill_access.keys TO waybill_service;
