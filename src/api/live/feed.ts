import type { LiveStream } from './liveStream.ts'

/** A message and the position that is its id. */
export interface LiveMessage {
  readonly position: bigint
  readonly text: string
  /** Only for streams that were told more than the feed had published: others do not hold what it takes back. */
  readonly onlyAhead?: boolean
}

/** The streams that asked for the same. */
export interface Channel<Filter> {
  readonly filter: Filter
  readonly streams: Set<LiveStream>
}

/**
 * Streams in step with each other. `position` and what is written move in one turn of the loop, so that a stream that
 * has been told everything up to `position` by other means, or further, can join between two turns: it misses nothing,
 * and its cursor keeps back what it has had.
 */
export class Feed<Filter> {
  readonly channels = new Map<string, Channel<Filter>>()
  #position: bigint
  #streams = 0

  constructor(position: bigint) {
    this.#position = position
  }

  get position(): bigint {
    return this.#position
  }

  get size(): number {
    return this.#streams
  }

  /** Only while there are no streams. */
  moveTo(position: bigint): void {
    if (this.#streams > 0) throw new Error('a feed with streams moves by publishing')
    this.#position = position
  }

  /** False when the stream is not there yet: it must be told up to `position` first. */
  join(stream: LiveStream, filter: Filter): boolean {
    if (stream.cursor < this.#position) return false
    const key = JSON.stringify(filter)
    let channel = this.channels.get(key)
    if (channel === undefined) {
      channel = { filter, streams: new Set() }
      this.channels.set(key, channel)
    }
    channel.streams.add(stream)
    this.#streams += 1
    return true
  }

  leave(stream: LiveStream, filter: Filter): void {
    const key = JSON.stringify(filter)
    const channel = this.channels.get(key)
    if (channel?.streams.delete(stream) !== true) return
    this.#streams -= 1
    if (channel.streams.size === 0) this.channels.delete(key)
  }

  /** `messagesOf` gives a channel's messages in (position, `to`], in order. */
  publish(to: bigint, messagesOf: (channel: Channel<Filter>) => readonly LiveMessage[]): void {
    const from = this.#position
    this.#position = to
    for (const channel of this.channels.values()) {
      const messages = messagesOf(channel)
      let shared: Buffer | null = null
      for (const stream of channel.streams) {
        if (messages.length > 0) {
          if (stream.cursor <= from) {
            // Encoded once for all: 2,000 streams hold 2,000 references to the same bytes.
            shared ??= Buffer.from(textOf(messages.filter(({ onlyAhead }) => onlyAhead !== true)))
            if (shared.length > 0) stream.write(shared)
          } else {
            const own = messages.filter(({ position }) => position > stream.cursor)
            if (own.length > 0) stream.write(textOf(own))
          }
        }
        if (stream.cursor < to) stream.cursor = to
      }
    }
  }
}

const textOf = (messages: readonly LiveMessage[]) => messages.map(({ text }) => text).join('')
