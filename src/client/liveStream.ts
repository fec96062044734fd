import { refusalOf } from './answers.ts'
import { backOffMs } from './backOff.ts'
import { pause } from './clock.ts'
import { errorOf, type Failure, mayRetry, type Outcome } from './errors.ts'
import type { Timing } from './retry.ts'
import { createSseReader, type SseMessage } from './sse.ts'
import { type OpenAnswer, type Transport, unanswered } from './transport.ts'

export interface LiveStreamOptions {
  readonly path: string
  /** Says where to begin, too: an id that the stream gave goes before it. */
  readonly query: URLSearchParams
  readonly signal: AbortSignal | undefined
  /** So long without a byte (the service sends one every 15 s), and the connection is taken for dead. Milliseconds. */
  readonly silenceMsMax: number
}

/** A message that does not end within so many characters is none of Waybill's. */
const messageCharactersMax = 16 * 1024 * 1024

/**
 * The messages of a live stream, across as many connections as it takes: each resumes after the last message that was
 * given out. Asks for no more while its reader is busy; a service that drops a slow reader is come back to. Ends only
 * by its reader; rejects with the signal's reason, or with a WaybillError when the service refuses for good.
 */
export async function* liveStream(
  transport: Transport,
  timing: Timing,
  options: LiveStreamOptions,
): AsyncGenerator<SseMessage, never, undefined> {
  let lastId = ''
  let given: string | null = null
  let failures = 0
  let retryMs: number | null = null
  for (;;) {
    const connection = await connect(transport, options, lastId)
    let failure: Failure
    if (connection.kind !== 'answer') {
      failure = connection
    } else {
      const { reader, receive, close } = connection.value
      lastId = reader.lastId
      try {
        for (;;) {
          const messages = await receive()
          if (messages.kind !== 'answer') {
            failure = messages
            break
          }
          failures = 0
          for (const message of messages.value) {
            // A service that resumes with the last message instead of after it must not make a double.
            if (message.id !== '' && message.id === given) continue
            // Before it is given out: a reader that stops here has had it.
            lastId = message.id
            given = message.id
            yield message
          }
          // A block without data moves the place to resume from as well.
          lastId = reader.lastId
          retryMs = reader.retryMs ?? retryMs
        }
      } finally {
        close()
      }
    }
    failures += 1
    const error = errorOf(failure, { attempts: failures, mayHaveLanded: false })
    if (!mayRetry(failure)) throw error
    timing.onRetry?.(error)
    const policy = retryMs === null ? timing.retry : { ...timing.retry, backOffMsBase: retryMs }
    await pause(timing.clock, backOffMs(failures, failure.retryAfterMs, policy, timing.random), options.signal)
  }
}

async function connect(transport: Transport, options: LiveStreamOptions, lastId: string) {
  const { path, query, signal, silenceMsMax } = options
  const text = query.toString()
  const opened = await transport.open({
    method: 'GET',
    path: text === '' ? path : `${path}?${text}`,
    headers: { accept: 'text/event-stream', ...(lastId === '' ? {} : { 'last-event-id': lastId }) },
    timeoutMs: silenceMsMax,
    timeoutPerChunk: true,
    signal,
  })
  if (opened.kind !== 'answer') return opened
  if (opened.value.status !== 200) return refusalOf(opened.value)
  if (opened.value.header('content-type')?.startsWith('text/event-stream') === true) {
    // Where the stream begins, before it has said anything: `head` would be another place the next time.
    const begin = lastId === '' ? (opened.value.header('waybill-position') ?? '') : lastId
    return { kind: 'answer', value: receiver(opened.value, begin) } as const
  }
  opened.value.close()
  return unanswered('the answer is not an event stream')
}

function receiver(answer: OpenAnswer, lastId: string) {
  const reader = createSseReader(lastId)
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  /** The messages of the next bytes; none when it was a heartbeat, or a part of one. */
  async function receive(): Promise<Outcome<SseMessage[]>> {
    const chunk = await answer.next()
    if (chunk.kind !== 'answer') return chunk
    if (chunk.value === null) return unanswered('the stream ended')
    const messages = reader.push(decoder.decode(chunk.value, { stream: true }))
    if (reader.pending > messageCharactersMax) return unanswered('a message does not end')
    return { kind: 'answer', value: messages }
  }
  return { reader, receive, close: () => answer.close() }
}
