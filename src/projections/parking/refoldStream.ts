import type { EventLog, RecordedEvent } from '../../eventlog/eventLog.ts'
import { streamEvents } from '../../eventlog/readStream.ts'
import { MalformedEventError, NewerSchemaError, parseMetadata } from '../../operation/eventSchemas.ts'
import { streamSubject } from '../../operation/streamName.ts'
import type { Folding } from '../folding.ts'
import type { FoldMemory } from '../foldMemory.ts'
import type { FoldedRows } from '../projectionStore.ts'
import { type Intervention, interventionOf } from './interventions.ts'
import { RefusedByDatabaseError } from './parkReason.ts'
import { Refold } from './refold.ts'
import type { Skips } from './skips.ts'

export interface RefoldStreamParts {
  readonly log: Pick<EventLog, 'readStream'>
  readonly rows: Pick<FoldedRows, 'loadStates'>
  readonly memory: Pick<FoldMemory, 'chains' | 'rejected' | 'pipelines' | 'skips'>
}

const pageSize = 500

/**
 * Folds an intervention: a skip or a retry of a stream that is set aside. It is done at its own place in the log, where a
 * rebuild does it too: the stream is folded on from where it stopped, up to there, without the events skipped by then; what
 * comes later follows in the log's order. Where that fails again, the stream is set aside again.
 *
 * A skip holds for good: of a stream that is not set aside there any more (a newer fold, or a database that refuses less, has
 * made the rows anew meanwhile) all is folded again without the event. Versions of a pipeline, once defined, stay.
 *
 * A stream whose hash chain is broken stays set aside whatever is ordered; where the interventions' own is broken, nothing
 * that stands there from then on is done.
 *
 * Throws NewerSchemaError before anything is changed.
 */
export async function refoldStream(event: RecordedEvent, folding: Folding, parts: RefoldStreamParts): Promise<void> {
  if (event.position <= folding.to) return
  const tampered = parts.memory.skips.faultOf(event)
  if (tampered !== null) {
    folding.fold(event, tampered)
    return
  }
  let intervention: Intervention
  try {
    intervention = interventionOf(event)
  } catch (error) {
    if (error instanceof NewerSchemaError) throw error
    folding.fold(event, error)
    return
  }
  const { skips } = parts.memory
  if (intervention.type === 'EventSkipped') skips.add(intervention)
  const from = firstToFold(intervention, folding.parkedAt(intervention.stream), skips)
  if (from !== null) {
    for await (const earlier of eventsBetween(parts.log, intervention, from)) refuseNewer(earlier)
    const unfoldable = await foldAgain(intervention, from, folding, parts)
    if (unfoldable !== null) folding.park(unfoldable.event, unfoldable.error)
  }
  folding.fold(event)
  folding.refolded(intervention)
}

/** Null when there is nothing to do. */
function firstToFold(intervention: Intervention, parkedAt: bigint | undefined, skips: Skips): bigint | null {
  if (intervention.type === 'StreamRetried') return parkedAt ?? null
  const { stream, revision, position } = intervention
  // Only the first skip of an event does anything.
  if (skips.positionOf(stream, revision) !== position) return null
  if (parkedAt === revision) return parkedAt
  const folded = parkedAt === undefined || parkedAt > revision
  return folded && revision > 0n && streamSubject(stream)?.kind === 'operation' ? 0n : null
}

/** Null, or the event at which it stopped. */
async function foldAgain(
  intervention: Intervention,
  from: bigint,
  folding: Folding,
  { log, rows, memory }: RefoldStreamParts,
): Promise<{ readonly event: RecordedEvent; readonly error: unknown } | null> {
  const { stream, position } = intervention
  const operation = operationOf(stream)
  memory.chains.restart(stream)
  if (operation !== null && !folding.knows(operation, stream)) {
    for (const loaded of await rows.loadStates([operation], memory.pipelines)) folding.admit(loaded)
  }
  folding.reopen(stream)
  const base = operation === null || from === 0n ? null : folding.stateOf(operation, stream)
  const refold = new Refold(base, memory.pipelines.pipelineOf)
  const rejected = memory.rejected.get(stream)
  const keep = (): void => {
    if (operation !== null && refold.result !== null) folding.replace(operation, stream, refold.result)
  }
  for await (const event of eventsBetween(log, intervention, from)) {
    const skippedAt = memory.skips.positionOf(stream, event.revision)
    try {
      const tampered = await (operation === null
        ? memory.chains.ofPipeline(event)
        : memory.chains.after(event, refold.end))
      if (tampered !== null) throw tampered
      if (rejected !== undefined) throw new RefusedByDatabaseError(rejected)
      if (skippedAt !== null && skippedAt <= position) refold.passOver(event)
      else if (operation === null) folding.foldAgain(event)
      else refold.fold(event)
    } catch (error) {
      keep()
      return { event, error }
    }
  }
  keep()
  return null
}

function operationOf(stream: string): string | null {
  const subject = streamSubject(stream)
  return subject?.kind === 'operation' ? subject.name : null
}

/** The stream's events from a revision on that come before the intervention. */
async function* eventsBetween(
  log: Pick<EventLog, 'readStream'>,
  { stream, position }: Intervention,
  from: bigint,
): AsyncGenerator<RecordedEvent> {
  for await (const event of streamEvents(log, stream, { fromRevision: from, pageSize })) {
    if (event.position >= position) return
    yield event
  }
}

/** What a newer node wrote while the stream was set aside was passed by unread. */
function refuseNewer(event: RecordedEvent): void {
  try {
    parseMetadata(event)
  } catch (error) {
    if (!(error instanceof MalformedEventError)) throw error
  }
}
