/**
 * Where the read model's tables are. Reads name it; the projector's statements do not: its session's search_path says
 * which set of tables is written, so that a rebuild may fold into another set.
 */
export const schemaName = 'waybill_read'
