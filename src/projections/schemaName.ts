/** Where the read model's tables are. Statements name them without it: the session's search_path decides which set is meant. */
export const schemaName = 'waybill_read'
