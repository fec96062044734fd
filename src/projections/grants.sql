-- All that the service's role may do here, whatever the migrations granted before. Run by the migrator.
GRANT USAGE ON SCHEMA waybill_read, waybill_shadow TO waybill_service;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE
  ON waybill_read.checkpoints, waybill_read.shapes, waybill_read.operations, waybill_read.standings, waybill_read.parked,
  waybill_read.pipelines
  TO waybill_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON waybill_read.rebuilds TO waybill_service;
GRANT SELECT, UPDATE ON waybill_shadow.checkpoints TO waybill_service;

DO $$
DECLARE
  called regprocedure;
  made text;
BEGIN
  FOR called IN
    SELECT oid FROM pg_proc
    WHERE pronamespace = 'waybill_read'::regnamespace AND proname IN (
      'commit_batch', 'commit_revisiting_batch', 'commit_batch_v2', 'open_shadow', 'index_shadow', 'swap_shadow', 'drop_shadow'
    )
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO waybill_service', called);
  END LOOP;
  -- A rebuild that is under way made its tables with the grants of then.
  FOREACH made IN ARRAY waybill_read.rebuilt_tables() LOOP
    IF to_regclass(format('waybill_shadow.%I', made)) IS NOT NULL THEN
      EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON waybill_shadow.%I TO waybill_service', made);
    END IF;
  END LOOP;
END
$$;
