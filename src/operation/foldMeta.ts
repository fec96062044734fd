import { markRulesVersion } from './eventVersion.ts'
import type { DocumentTexts } from './operationDocuments.ts'

/** What the fold needs of an event's envelope and of its place in the stream. */
export interface FoldMeta {
  /** The operation's id. */
  readonly operation: string
  readonly revision: bigint
  /** RFC 3339 UTC with milliseconds. */
  readonly recordedAt: string
  /** The key the event is recorded under. */
  readonly command: string
  readonly requestHash: string
  readonly actor: string
  readonly traceparent?: string
  readonly hash: string
  /** Of the event (eventVersion.ts): an old event means what it meant then. */
  readonly schemaVersion: number
  /** UTF-8 bytes of the event's data as stored. */
  readonly dataBytes: number
  /** JSON texts of the documents that the event carries, where they are at hand. */
  readonly texts?: DocumentTexts
}

/** Whether the event was decided by the rules of marks (docs/adr/0014): an older one keeps what it meant then. */
export function isOfMarkRules(meta: FoldMeta): boolean {
  return meta.schemaVersion >= markRulesVersion
}
