-- All that the service's role may do here, whatever the migrations granted before. Run by the migrator.
GRANT USAGE ON SCHEMA waybill_snapshots TO waybill_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON waybill_snapshots.snapshots TO waybill_service;
