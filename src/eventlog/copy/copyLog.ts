import type { EventLog, RecordedEvent } from '../eventLog.ts'
import { eventAt } from '../readStream.ts'

/** A log that is to be copied. Each adapter brings one. */
export interface CopySource {
  readonly log: EventLog
  /** No append is taken any more, by any node, until `reopen`. Can be repeated. */
  close(): Promise<void>
  /** Takes appends again: the copy is given up. */
  reopen(): Promise<void>
  /**
   * Throws a CopyError when the log ends elsewhere than where it ended right after `close`: not every store can keep nodes that
   * are running from appending.
   */
  checkUnmoved(end: bigint): Promise<void>
  /** Gives the connections back. */
  end(): Promise<void>
}

/** A log that is to become a copy. Services that find it unfinished do not start. */
export interface CopyTarget {
  readonly log: EventLog
  /** Marks it as a copy of that log under way. Throws a CopyError unless it is empty, or such a copy already. */
  begin(sourceLogId: string): Promise<void>
  /** The last event copied; null: none yet. */
  last(): Promise<RecordedEvent | null>
  /** Adds events, after the last one and in the order given, with their ids, revisions and bytes. */
  add(events: readonly RecordedEvent[]): Promise<void>
  /** Opens it to services. */
  finish(): Promise<void>
  end(): Promise<void>
}

/** It cannot be copied; the message is for a person. */
export class CopyError extends Error {
  override readonly name = 'CopyError'
}

export interface CopyProgress {
  readonly stage: 'copying' | 'comparing'
  /** Events so far. */
  readonly events: number
  /** How far that is, 0 to 1, in the source's positions. */
  readonly share: number
}

export interface Copied {
  readonly sourceLogId: string
  /** Of the copy: another log, whose positions mean nothing in the source, nor those of the source here. */
  readonly logId: string
  readonly events: number
  /** Events of `events` that an earlier run had copied. */
  readonly resumedAfter: number
}

const pageEvents = 500

/**
 * Copies a log into an empty store: closes the source, copies every event in order, compares the two logs event by event,
 * and opens the copy. What an earlier run copied is not copied again, but it is compared. When it fails, the source stays
 * closed and the target unfinished; the same call goes on from there.
 *
 * @throws {CopyError} the target holds something else, the source moved, or the two differ
 */
export async function copyLog(
  source: CopySource,
  target: CopyTarget,
  onProgress: (progress: CopyProgress) => void,
): Promise<Copied> {
  await target.begin(source.log.logId)
  await source.close()
  const end = await source.log.head()
  const share = (position: bigint) => (end === 0n ? 1 : Number((position * 10_000n) / end) / 10_000)

  const last = await target.last()
  let after = last === null ? 0n : await positionInSource(source.log, last)
  let added = 0
  while (after < end) {
    const events = await source.log.readAll({ after, maxCount: pageEvents })
    const newest = events.at(-1)
    if (newest === undefined) throw new CopyError(`The source ends before ${end}, where it ended a moment ago`)
    if (newest.position > end) await source.checkUnmoved(end)
    await target.add(events)
    after = newest.position
    added += events.length
    onProgress({ stage: 'copying', events: added, share: share(after) })
  }

  await source.checkUnmoved(end)
  const events = await compareLogs(source.log, target.log, (count, position) =>
    onProgress({ stage: 'comparing', events: count, share: share(position) }),
  )
  onProgress({ stage: 'comparing', events, share: 1 })
  await source.checkUnmoved(end)
  await target.finish()
  return { sourceLogId: source.log.logId, logId: target.log.logId, events, resumedAfter: events - added }
}

async function positionInSource(source: EventLog, { stream, revision, id }: RecordedEvent): Promise<bigint> {
  const event = await eventAt(source, stream, revision)
  if (event?.id !== id)
    throw new CopyError(`The target ends with ${stream} @ ${revision}, which the source does not have`)
  return event.position
}

/** Settles with the number of events. Throws a CopyError at the first place where the two differ. */
async function compareLogs(
  source: EventLog,
  target: EventLog,
  onPage: (count: number, position: bigint) => void,
): Promise<number> {
  const copies = allEvents(target)
  let count = 0
  for await (const original of allEvents(source)) {
    const { value: copy } = await copies.next()
    const difference = differenceBetween(original, copy ?? null)
    if (difference !== null) {
      throw new CopyError(`Event ${count + 1}, ${original.stream} @ ${original.revision}: ${difference}`)
    }
    count += 1
    if (count % pageEvents === 0) onPage(count, original.position)
  }
  const { value: more } = await copies.next()
  if (more) throw new CopyError(`The target goes on after event ${count}: ${more.stream} @ ${more.revision}`)
  return count
}

async function* allEvents(log: EventLog): AsyncGenerator<RecordedEvent, null> {
  for (let after = 0n; ; ) {
    const events = await log.readAll({ after, maxCount: pageEvents })
    const last = events.at(-1)
    if (last === undefined) return null
    yield* events
    after = last.position
  }
}

function differenceBetween(original: RecordedEvent, copy: RecordedEvent | null): string | null {
  if (copy === null) return 'the copy has no more'
  for (const member of ['stream', 'revision', 'id', 'type', 'data', 'metadata'] as const) {
    if (original[member] !== copy[member]) return `${member} differs in the copy`
  }
  return null
}
