import type { RecordedEvent } from '../eventlog/eventLog.ts'
import { operationStream } from '../operation/streamName.ts'
import type { ApiContext } from './context.ts'
import { eventText } from './eventText.ts'
import { noOperation } from './notFound.ts'

export interface EventPage {
  readonly text: string
  /** What is listed is complete up to here. */
  readonly position: bigint
}

/** Events read from the log at once: one may be a megabyte, and a page ends at `pageBytesMax`. */
const stepMax = 100

export interface StreamPageOptions {
  readonly fromRevision?: bigint
  readonly direction: 'forwards' | 'backwards'
  readonly pageSize: number
}

/** A page of one operation's events. Throws ProblemError: `not_found` when there is no such operation. */
export async function operationEventPage(
  context: ApiContext,
  operation: string,
  options: StreamPageOptions,
): Promise<EventPage> {
  const stream = operationStream(operation)
  const page = await streamPage(context, stream, options)
  if (page.count === 0 && (await context.log.readStream(stream, { maxCount: 1 })).length === 0) {
    throw noOperation(operation)
  }
  return page
}

/** A page of one stream's events; without any when there is no such stream. */
export async function streamPage(
  context: Pick<ApiContext, 'log' | 'limits' | 'tokens'>,
  stream: string,
  options: StreamPageOptions,
): Promise<EventPage & { readonly count: number }> {
  const { direction, pageSize } = options
  const forwards = direction === 'forwards'
  // Taken first: what is appended while the page is read may be on it, and nothing before is missing.
  const position = await context.log.head()
  const page = openPage(context)
  let next = options.fromRevision ?? (forwards ? 0n : null)
  while (page.hasRoom(pageSize)) {
    const maxCount = Math.min(stepMax, pageSize - page.count())
    const from = next === null ? {} : { fromRevision: next }
    const events = await context.log.readStream(stream, { ...from, direction, maxCount })
    for (const event of events) {
      if (!page.hasRoom(pageSize)) break
      page.add(event)
      next = forwards ? event.revision + 1n : event.revision - 1n
    }
    if (events.length < maxCount || next === -1n) break
  }
  return { text: page.text(next === null || next < 0n ? null : String(next)), position, count: page.count() }
}

/** A page of the whole log, after a position. */
export async function logPage(context: ApiContext, after: bigint, pageSize: number): Promise<EventPage> {
  const page = openPage(context)
  let next = after
  while (page.hasRoom(pageSize)) {
    const maxCount = Math.min(stepMax, pageSize - page.count())
    const events = await context.log.readAll({ after: next, maxCount })
    for (const event of events) {
      if (!page.hasRoom(pageSize)) break
      page.add(event)
      next = event.position
    }
    if (events.length < maxCount) break
  }
  return { text: page.text(context.tokens.encode(next)), position: next }
}

/**
 * Lines for the events after a position up to `head`, at most `countMax` (null: all), read as fast as they are taken.
 * `requireAllowed` throws once the key was revoked: asked before each page.
 */
export async function* logLines(
  context: ApiContext,
  after: bigint,
  head: bigint,
  countMax: number | null,
  requireAllowed: () => void,
): AsyncGenerator<string, void, undefined> {
  let left = countMax ?? Number.POSITIVE_INFINITY
  let from = after
  while (left > 0 && from < head) {
    // Broken off, not ended: an answer that ends in order would be taken for the whole.
    if (context.draining.aborted) throw new Error('The service shuts down')
    requireAllowed()
    const events = await context.log.readAll({ after: from, maxCount: Math.min(stepMax, left) })
    let text = ''
    for (const event of events) {
      if (event.position > head) break
      text += `${eventText(event, context.tokens)}\n`
    }
    if (text === '') return
    yield text
    left -= events.length
    from = events.at(-1)?.position ?? head
  }
}

function openPage(context: Pick<ApiContext, 'limits' | 'tokens'>) {
  const texts: string[] = []
  let bytes = 0
  return {
    count: () => texts.length,
    hasRoom: (pageSize: number) => texts.length < pageSize && bytes < context.limits.pageBytesMax,
    add: (event: RecordedEvent) => {
      const text = eventText(event, context.tokens)
      texts.push(text)
      bytes += text.length
    },
    /** `next`: null when nothing can ever follow. */
    text: (next: string | null) => `{"events":[${texts.join(',')}]${next === null ? '' : `,"next":"${next}"`}}`,
  }
}
