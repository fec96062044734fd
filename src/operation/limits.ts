/** Sizes in UTF-8 bytes of JSON text. */
export interface OperationLimits {
  /** An operation's data after a merge. */
  readonly dataBytesMax: number
  /** An operation's metadata after a merge. */
  readonly metadataBytesMax: number
  /** Held reports of one operation. */
  readonly heldCountMax: number
  /** Data of the `ReportHeld` events of one operation's held reports, together. */
  readonly heldBytesMax: number
}

export const defaultLimits: OperationLimits = {
  dataBytesMax: 512 * 1024,
  metadataBytesMax: 16 * 1024,
  heldCountMax: 100,
  heldBytesMax: 128 * 1024,
}

// What is remembered is part of every node's fold: these are not configured.

/** Services whose mark one track remembers, of sequences and of observed times each. */
export const markedServicesMax = 1_000

/** Deleted paths that one operation remembers, and the UTF-8 bytes of them together, as JSON pointers. */
export const deletedPathsMax = 1_000
export const deletedPathBytesMax = 32 * 1024
