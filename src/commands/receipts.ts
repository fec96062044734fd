import { type Outcome, receiptOutcome } from '../operation/decision.ts'
import type { EventMetadata, HeldReason, IgnoredReason, OperationEvent } from '../operation/events.ts'
import { addKey, emptyKeyFilter, type KeyFilter, keyFilterBytes, mayHold } from './keyFilter.ts'

/** What a command was answered when it appended: its duplicates get the same, at any age. */
export interface Receipt {
  readonly actor: string
  readonly requestHash: string
  readonly outcome: Outcome
  readonly reason: IgnoredReason | HeldReason | undefined
  readonly opened: boolean
  /** Of the last event of the append, released reports included. */
  readonly revision: bigint
  readonly position: bigint
}

/** The receipts of one operation: the last ones by key, and a filter over the keys of all that came before. */
export interface Receipts {
  /** In order of arrival. */
  readonly recent: Map<string, Receipt>
  forgotten: KeyFilter | null
}

export function emptyReceipts(): Receipts {
  return { recent: new Map(), forgotten: null }
}

export function rememberReceipt(receipts: Receipts, key: string, receipt: Receipt, receiptsMax: number): void {
  // A key appends once; should a stream show it twice, the first append is the one that was answered.
  if (receipts.recent.has(key)) return
  receipts.recent.set(key, receipt)
  if (receipts.recent.size > receiptsMax) forgetOldReceipts(receipts, receiptsMax)
}

/** Keeps the last `receiptsKept` receipts; the others are left to the log. */
export function forgetOldReceipts(receipts: Receipts, receiptsKept: number): void {
  receipts.forgotten ??= emptyKeyFilter()
  for (const key of receipts.recent.keys()) {
    if (receipts.recent.size <= receiptsKept) return
    receipts.recent.delete(key)
    addKey(receipts.forgotten, key)
  }
}

/** True when the key's receipt may be in the log though it is no longer among the recent ones. */
export function mayBeForgotten(receipts: Receipts, key: string): boolean {
  return receipts.forgotten !== null && mayHold(receipts.forgotten, key)
}

/** Measured on Node 20: a Map entry, its receipt, two bigints, a key of some 36 characters and an actor of some 13. */
const bytesPerReceipt = 320

export function receiptsBytes(receipts: Receipts): number {
  return receipts.recent.size * bytesPerReceipt + (receipts.forgotten === null ? 0 : keyFilterBytes(receipts.forgotten))
}

/** An append under way in a fold: its key, and what its events said so far. */
export interface OpenReceipt {
  readonly key: string
  readonly actor: string
  readonly requestHash: string
  /** The events recorded under the key itself; reports it released are not among them. */
  readonly own: readonly OperationEvent[]
  readonly revision: bigint
  readonly position: bigint
}

/**
 * Folds one event into the append it belongs to, or begins a new one: the events of an append by key K are the contiguous
 * run with `$causationId` = K, the first of them recorded under K itself.
 */
export function foldReceipt(
  open: OpenReceipt | null,
  event: OperationEvent,
  metadata: Pick<EventMetadata, 'command' | 'requestHash' | 'actor' | '$causationId'>,
  place: { readonly revision: bigint; readonly position: bigint },
): OpenReceipt {
  const { revision, position } = place
  const key = metadata.$causationId
  if (open === null || open.key !== key) {
    const { actor, requestHash } = metadata
    return { key, actor, requestHash, own: [event], revision, position }
  }
  return { ...open, own: metadata.command === key ? [...open.own, event] : open.own, revision, position }
}

export function closeReceipt({ actor, requestHash, own, revision, position }: OpenReceipt): Receipt {
  const { outcome, reason, opened } = receiptOutcome(own)
  return { actor, requestHash, outcome, reason, opened, revision, position }
}
