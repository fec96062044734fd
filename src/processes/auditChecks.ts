import type { EventLog } from '../eventlog/eventLog.ts'
import { NewerSchemaError } from '../operation/eventSchemas.ts'
import { isJsonObject } from '../operation/json.ts'
import { operationStream } from '../operation/streamName.ts'
import type { TamperedError } from '../operation/verifyStream.ts'
import type { AuditedOperation, AuditRows, StoredRow } from '../projections/auditRows.ts'
import { anyTrack, otherStatus } from '../projections/countedStatuses.ts'
import { Skips } from '../projections/parking/skips.ts'
import { tamperedReason } from '../projections/readModel.ts'
import { canonical, type Difference, difference, rowDifferences } from '../projections/rowDifferences.ts'
import { Shapes } from '../projections/shape.ts'
import { foldStream, type StreamFold } from './streamFold.ts'

/** What is audited: an operation, or how many operations are said to have one shape. */
export type AuditSubject =
  | { readonly of: 'operation'; readonly id: string }
  | { readonly of: 'count'; readonly id: bigint }

export type Verdict =
  | { readonly kind: 'same' }
  | { readonly kind: 'drift'; readonly differences: readonly Difference[] }
  /**
   * The log is not what was appended: the hash chain of `stream` is broken, or the row was folded from events that the log
   * does not hold (any more). To make the rows anew would only hide it.
   */
  | { readonly kind: 'tampered'; readonly stream: string; readonly differences: readonly Difference[] }
  /**
   * `too_long`: more than the audit may read. `not_comparable`: the rows are of another log or another version's fold, or
   * the stream holds an event of a newer version.
   */
  | { readonly kind: 'skipped'; readonly reason: 'too_long' | 'not_comparable' }

export interface AuditStores {
  readonly log: Pick<EventLog, 'readStream'>
  readonly rows: Pick<AuditRows, 'operation' | 'definition' | 'countShape' | 'countsByName'>
}

/** Of one stream: a second or two of folding, in small pieces. */
const eventsMax = 20_000n
/** Entries of an index. */
const countedRowsMax = 20_000
const reasonLengthMax = 200

const same: Verdict = { kind: 'same' }
const notComparable: Verdict = { kind: 'skipped', reason: 'not_comparable' }
const tooLong: Verdict = { kind: 'skipped', reason: 'too_long' }

/** One look. Rows that move meanwhile do no harm: a row is held against the revision it says it has, and the log only grows. */
export function audit(stores: AuditStores, subject: AuditSubject, signal: AbortSignal): Promise<Verdict> {
  return subject.of === 'operation' ? auditOperation(stores, subject.id, signal) : auditCount(stores, subject.id)
}

async function auditOperation({ log, rows }: AuditStores, id: string, signal: AbortSignal): Promise<Verdict> {
  const found = await rows.operation(id)
  if (found === null) return notComparable
  const revision = found.row?.revision ?? -1n
  if (revision >= eventsMax) return tooLong
  try {
    const stream = operationStream(id)
    const skips = new Skips()
    await skips.learn(log)
    const passedOver = eventsPassedOver(skips, stream, found.checkpoint)
    // What an operation is without its first event, only the projector knows.
    if (passedOver(0n)) return notComparable
    // What is parked is folded no further: the rest of its chain is looked at here or by nobody.
    const verifiedTo = found.parked === null ? revision + 1n : eventsMax
    const fold = await foldStream(log, stream, revision, signal, { passedOver, verifiedTo })
    if (fold.kind === 'broken') return tampered(fold.tampered)
    if (skips.tampered !== null) return tampered(skips.tampered)
    const missing = missingEvents(found.row, id, fold)
    if (missing !== null) return { kind: 'tampered', stream, differences: [missing] }
    const expected = await shapesFor(rows, found.row, fold)
    return verdict([...operationDifferences(found, fold, expected), await definitionDifference(rows, fold)])
  } catch (error) {
    if (error instanceof NewerSchemaError) return notComparable
    throw error
  }
}

/** By skips that are folded by now. */
function eventsPassedOver(skips: Skips, stream: string, checkpoint: bigint): (revision: bigint) => boolean {
  return (revision) => {
    const skippedAt = skips.positionOf(stream, revision)
    return skippedAt !== null && skippedAt <= checkpoint
  }
}

function tampered({ stream, message }: TamperedError): Verdict {
  return { kind: 'tampered', stream, differences: [{ field: 'hash chain', row: null, log: message }] }
}

/**
 * A row carries the hash of the event it was folded up to: a hash kept elsewhere, against which it shows that events were
 * cut off the stream's end or that it was written anew as a whole, which its own chain cannot tell. Only a row that agrees
 * with itself is believed.
 */
function missingEvents(
  row: StoredRow | null,
  id: string,
  fold: Exclude<StreamFold, { kind: 'broken' }>,
): Difference | null {
  const folded = row === null ? null : foldedUpTo(row)
  if (row === null || folded === null || folded.id !== id || folded.revision !== String(row.revision)) return null
  if (fold.kind === 'short') return difference('revision', row.revision, fold.revision < 0n ? null : fold.revision)
  if (fold.kind !== 'folded' || fold.last === null) return null
  return difference('state.lastHash', folded.lastHash, fold.last.state.lastHash)
}

function foldedUpTo({
  state,
}: StoredRow): { readonly id: unknown; readonly revision: unknown; readonly lastHash: string } | null {
  try {
    const parsed: unknown = JSON.parse(state)
    if (!isJsonObject(parsed) || typeof parsed.lastHash !== 'string') return null
    return { id: parsed.id, revision: parsed.revision, lastHash: parsed.lastHash }
  } catch {
    return null
  }
}

const shapes = new Shapes(() => true)
const shapesOfOthers = new Shapes(() => false)

/** A row may say that its status is one of many only where no other row says that it is counted by name. */
async function shapesFor(rows: AuditStores['rows'], row: StoredRow | null, fold: StreamFold): Promise<Shapes> {
  if (fold.kind !== 'folded' || fold.last === null || !fold.last.state.pipeline.any) return shapes
  const { state } = fold.last
  const stored = row?.shapeRow?.tracks
  if (!isJsonObject(stored) || stored[anyTrack] !== otherStatus) return shapes
  return (await rows.countsByName(state.tracks[anyTrack]?.status ?? '')) ? shapes : shapesOfOthers
}

function operationDifferences(
  { row, parked, checkpoint }: AuditedOperation,
  fold: Exclude<StreamFold, { kind: 'broken' }>,
  expected: Shapes,
): (Difference | null)[] {
  const revision = row?.revision ?? null
  if (fold.kind === 'short') return [difference('revision', revision, fold.revision < 0n ? null : fold.revision)]
  if (fold.kind === 'unfoldable') {
    return [{ field: 'fold', row: null, log: `at revision ${fold.revision}: ${fold.reason.slice(0, reasonLengthMax)}` }]
  }
  const { last, next } = fold
  const behind = parked === null && next !== null && next.position <= checkpoint
  const ahead = row !== null && row.position > checkpoint
  return [
    behind ? difference('revision', revision, next.revision) : null,
    ahead ? difference('checkpoint', checkpoint, row.position) : null,
    parked?.reason === tamperedReason ? { field: 'parked.reason', row: tamperedReason, log: 'its chain holds' } : null,
    parked === null ? null : difference('parked.revision', parked.revision, next?.revision ?? null),
    parked === null ? null : difference('parked.position', parked.position, next?.position ?? null),
    ...(row === null || last === null ? [] : rowDifferences(row, last.state, last.position, expected)),
  ]
}

/** The projector folds with the definitions that its tables hold. */
async function definitionDifference(rows: AuditStores['rows'], fold: StreamFold): Promise<Difference | null> {
  if (fold.kind !== 'folded' || fold.last === null) return null
  const { pipeline } = fold.last.state
  if (pipeline.any) return null
  const stored = await rows.definition(pipeline.name, pipeline.version)
  return difference('pipelines.definition', canonical(stored), canonical(pipeline.definition))
}

async function auditCount({ rows }: AuditStores, id: bigint): Promise<Verdict> {
  const count = await rows.countShape(id, countedRowsMax)
  if (count === null) return notComparable
  if (count.counted === null) return tooLong
  return verdict([difference('shapes.operations', count.said, count.counted)])
}

function verdict(found: readonly (Difference | null)[]): Verdict {
  const differences = found.filter((one) => one !== null)
  return differences.length === 0 ? same : { kind: 'drift', differences }
}
