import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import type { RecordedEvent } from '../../eventlog/eventLog.ts'
import { operationStream, pipelineStream, streamSubject } from '../../operation/streamName.ts'
import type { ApiContext } from '../context.ts'
import { eventText } from '../eventText.ts'
import type { Missed } from './catchUp.ts'
import { type Channel, Feed, type LiveMessage } from './feed.ts'
import { OperationPipelines } from './operationPipelines.ts'
import { sseMessage } from './sseText.ts'

export interface EventFilter {
  readonly operation?: string
  readonly pipeline?: string
}

/** Characters of events written to all streams before the event loop goes on, so that sockets can empty. */
const sliceCharacters = 256 * 1024

/** The log's events as they are appended: not after the read model's checkpoint, as the log is what they are read from. */
export class EventFeed {
  readonly feed = new Feed<EventFilter>(0n)
  readonly #context: ApiContext
  readonly #pipelines: OperationPipelines

  constructor(context: ApiContext) {
    this.#context = context
    this.#pipelines = new OperationPipelines(context)
  }

  /** Tells the streams of the log's next events. Rejects when the log or the read model cannot be asked. */
  async take(events: readonly RecordedEvent[]): Promise<void> {
    for (let start = 0; start < events.length; ) {
      const end = this.#sliceEnd(events, start)
      const slice = events.slice(start, end)
      start = end
      // A stream that asks for a pipeline may join while the pipelines are looked up.
      while (this.#asksForPipelines() && !this.#pipelines.knows(slice)) await this.#pipelines.learn(slice)
      this.#publish(slice)
      if (start < events.length && this.feed.size > 0) await yieldToEventLoop()
    }
  }

  /** What a stream that stands at `after` has missed. */
  async missed(filter: EventFilter, after: bigint, count: number, from: { revision: bigint }): Promise<Missed> {
    const { log } = this.#context
    if (filter.operation !== undefined) {
      // Taken before the read, which shows all of the stream up to there.
      const reached = this.feed.position
      const { revision } = from
      const all = await log.readStream(operationStream(filter.operation), { fromRevision: revision, maxCount: count })
      const last = all.at(-1)
      if (last !== undefined) from.revision = last.revision + 1n
      const events = all.filter(({ position }) => position > after)
      const complete = all.length < count && reached > (last?.position ?? after)
      await this.#learn(filter, events)
      const to = complete ? reached : (last?.position ?? after)
      return { messages: this.#messages(filter, events), to: to > after ? to : after, read: characters(all) }
    }
    const events = await log.readAll({ after, maxCount: count })
    await this.#learn(filter, events)
    return {
      messages: this.#messages(filter, events),
      to: events.at(-1)?.position ?? after,
      read: characters(events),
    }
  }

  #publish(events: readonly RecordedEvent[]): void {
    const to = events.at(-1)?.position
    if (to === undefined) return
    const texts = new Map<RecordedEvent, LiveMessage>()
    this.feed.publish(to, ({ filter }) => this.#messages(filter, events, texts))
  }

  #messages(
    filter: EventFilter,
    events: readonly RecordedEvent[],
    texts = new Map<RecordedEvent, LiveMessage>(),
  ): LiveMessage[] {
    const messages: LiveMessage[] = []
    for (const event of events) {
      if (!this.#matches(filter, event)) continue
      let message = texts.get(event)
      if (message === undefined) {
        const { tokens } = this.#context
        const text = sseMessage(tokens.encode(event.position), 'event', eventText(event, tokens))
        message = { position: event.position, text }
        texts.set(event, message)
      }
      messages.push(message)
    }
    return messages
  }

  #matches({ operation, pipeline }: EventFilter, { stream }: RecordedEvent): boolean {
    if (operation !== undefined && stream !== operationStream(operation)) return false
    if (pipeline === undefined || stream === pipelineStream(pipeline)) return true
    const subject = streamSubject(stream)
    return subject?.kind === 'operation' && this.#pipelines.of(subject.name) === pipeline
  }

  async #learn(filter: EventFilter, events: readonly RecordedEvent[]): Promise<void> {
    if (filter.pipeline === undefined) return
    while (!this.#pipelines.knows(events)) await this.#pipelines.learn(events)
  }

  #asksForPipelines(): boolean {
    const asks = ({ filter }: Channel<EventFilter>) => filter.pipeline !== undefined
    for (const channel of this.feed.channels.values()) if (asks(channel)) return true
    return false
  }

  #sliceEnd(events: readonly RecordedEvent[], start: number): number {
    let length = 0
    let end = start
    for (; end < events.length && length < sliceCharacters; end += 1) {
      const event = events[end]
      if (event !== undefined) length += event.data.length + event.metadata.length
    }
    return end
  }
}

function characters(events: readonly RecordedEvent[]): number {
  let count = 0
  for (const { data, metadata } of events) count += data.length + metadata.length
  return count
}
