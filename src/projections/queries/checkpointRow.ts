/** What every statement of the read model answers with, whatever else it finds: how far the rows are folded, and of which log. */
export interface CheckpointRow {
  readonly checkpoint: bigint
  /** Null before the first projector: nothing is folded. */
  readonly log_id: string | null
}

/** Of an outer join: all columns are null where there is no row. */
export type Maybe<Columns> = { readonly [Column in keyof Columns]: Columns[Column] | null }
