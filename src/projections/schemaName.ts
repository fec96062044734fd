/**
 * Where the read model's tables are. Reads name it; the projector's statements do not: its session's search_path says
 * which set of tables is written, so that a rebuild folds into the other one with the same statements.
 */
export const schemaName = 'waybill_read'

/** Where a rebuild folds (migrations/0002_shadow.sql). */
export const shadowSchemaName = 'waybill_shadow'
