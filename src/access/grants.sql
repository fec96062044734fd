-- All that the service's role may do here, whatever the migrations granted before. Run by the migrator.
GRANT USAGE ON SCHEMA waybill_access TO waybill_service;
GRANT SELECT ON waybill_access.changes, waybill_access.keys TO waybill_service;
GRANT EXECUTE ON FUNCTION waybill_access.create_key, waybill_access.revoke_key TO waybill_service;

-- Of nodes that know no functions yet. A trigger holds them to the same rules (migrations/0003_validated_changes.sql).
GRANT UPDATE (counter) ON waybill_access.changes TO waybill_service;
GRANT INSERT, UPDATE (revoked_at, revoked_by) ON waybill_access.keys TO waybill_service;
GRANT EXECUTE ON FUNCTION waybill_access.check_key, waybill_access.are_keys_full TO waybill_service;
