import type { EventLog, RecordedEvent } from './eventLog.ts'

type Log = Pick<EventLog, 'readStream'>

export interface StreamPagesOptions {
  /** Where to begin. Default: at the stream's first event. */
  readonly fromRevision?: bigint
  /** The last event to read. Default: the stream's last one. */
  readonly toRevision?: bigint
  /** Events a page, 1 to 1,000: a page is in memory as a whole. */
  readonly pageSize: number
}

/**
 * A stream's events in order, page by page; no page is empty. Each page is read when it is asked for, so what is appended
 * meanwhile is read as well. Throws LogUnavailableError.
 */
export async function* streamPages(
  log: Log,
  stream: string,
  { fromRevision = 0n, toRevision, pageSize }: StreamPagesOptions,
): AsyncGenerator<readonly RecordedEvent[], void, undefined> {
  let next = fromRevision
  for (;;) {
    const left = toRevision === undefined ? pageSize : Number(toRevision + 1n - next)
    if (left <= 0) return
    const maxCount = Math.min(pageSize, left)
    const page = await log.readStream(stream, { fromRevision: next, maxCount })
    const last = page.at(-1)
    if (last === undefined) return
    yield page
    if (page.length < maxCount) return
    next = last.revision + 1n
  }
}

/** The same, event by event. */
export async function* streamEvents(
  log: Log,
  stream: string,
  options: StreamPagesOptions,
): AsyncGenerator<RecordedEvent, void, undefined> {
  for await (const page of streamPages(log, stream, options)) yield* page
}

/** Null when the stream does not exist. Throws LogUnavailableError. */
export async function lastEvent(log: Log, stream: string): Promise<RecordedEvent | null> {
  const [last] = await log.readStream(stream, { direction: 'backwards', maxCount: 1 })
  return last ?? null
}

/** Null when the stream holds no event at this revision. Throws LogUnavailableError. */
export async function eventAt(log: Log, stream: string, revision: bigint): Promise<RecordedEvent | null> {
  const [found] = await log.readStream(stream, { fromRevision: revision, maxCount: 1 })
  return found?.revision === revision ? found : null
}
